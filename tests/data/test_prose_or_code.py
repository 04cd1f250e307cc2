"""Prose or code: nothing of the test set is in the training set, and code speaks no English."""

import ast
import inspect
import sysconfig
import tokenize
from pathlib import Path

import pytest
from hypothesis import settings

from minimodels.data import load_prose_or_code, load_topics, prose_or_code
from minimodels.data.prose_or_code import PER_FILE, WINDOW, stripped
from minimodels.errors import InputError


def test_both_kinds_are_as_many_and_all_windows_of_one_length() -> None:
    train, test = load_prose_or_code()
    for part, least in ((train, 5000), (test, 500)):
        assert len(part.texts) == len(part.labels) >= least
        assert part.labels.mean() == 0.5
        assert {len(text) for text in part.texts} == {WINDOW}
        assert part.names == ("prose", "code")


def test_a_topic_or_file_is_on_one_side_alone() -> None:
    train, test = load_prose_or_code()
    sources = {f"topic {i}": topic for i, topic in enumerate(load_topics())}
    for path in Path(sysconfig.get_path("stdlib")).glob("[a-z]*.py"):
        sources[path.name] = stripped(path.read_text(encoding="utf-8"))
    seen = [{name for name, source in sources.items() if any(text in source for text in part.texts[::29])}
            for part in (train, test)]  # fmt: skip
    both = seen[0] & seen[1]
    assert len(seen[0]) > 50
    assert len(seen[1]) > 10
    assert len(both) <= 3, both  # a phrase that several sources share word for word


def test_no_file_gives_more_than_its_part() -> None:
    train, _ = load_prose_or_code()
    code = [text for text, label in zip(train.texts, train.labels.tolist(), strict=True) if label]
    source = stripped(Path(inspect.getfile(ast)).read_text(encoding="utf-8"))
    assert sum(text in source for text in code) <= PER_FILE


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ('"""What it is."""\n\nx = 1  # one\n', "x = 1\n"),
        ("# all\n# comment\n", ""),
        ('class A:\n    """Doc\n    of lines.\n    """\n\n    x = "no doc"\n', 'class A:\n    x = "no doc"\n'),
        ('def f():\n    "a" "b"\n    return "# no comment"\n', 'def f():\n    return "# no comment"\n'),
        ("async def f():\n    r'''Doc.'''\n    await g()\n", "async def f():\n    await g()\n"),
        ('x = """\n# kept\n"""\n', 'x = """\n# kept\n"""\n'),
        ('def ü():\n    "Ünï"  # é\n    return "é"  # ö\n', 'def ü():\n    return "é"\n'),
        ('def f(): "one line"; return 1\n', "def f(): ; return 1\n"),
    ],
)
def test_comments_and_docstrings_go_and_nothing_else(source: str, code: str) -> None:
    assert stripped(source) == code


def test_a_form_feed_ends_no_line() -> None:
    assert stripped("x = 1\n\x0c\ny = 2  # two\n") == "x = 1\ny = 2\n"


def test_no_comment_of_the_real_library_survives() -> None:
    letters = "[a-z]" if settings.get_current_profile_name() == "deep" else "[ab]"
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob(f"{letters}*.py")):
        source = path.read_text(encoding="utf-8")
        left = stripped(source)
        assert "#" not in {token.string[0] for token in tokenize.generate_tokens(iter(left.splitlines(True)).__next__)
                           if token.type == tokenize.COMMENT}, path  # fmt: skip
        if len(left.splitlines()) > 5:
            assert len(left) < len(source), path


def test_a_python_without_sources_or_documentation_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(prose_or_code.sysconfig, "get_path", lambda name: str(tmp_path))
    with pytest.raises(InputError, match="has no sources of its library"):
        load_prose_or_code.__wrapped__()
    monkeypatch.setitem(__import__("sys").modules, "pydoc_data.topics", None)
    with pytest.raises(InputError, match=r"has no pydoc_data.topics"):
        load_topics()
