"""What the front page says is true, in both languages."""

import doctest
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parent.parent
ENGLISH, CHINESE = ROOT / "README.md", ROOT / "README.zh.md"
both = pytest.mark.parametrize("page", [ENGLISH, CHINESE], ids=["en", "zh"])


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.M | re.S)


def headings(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    return re.findall(r"^(#+) ", text, flags=re.M)


@both
def test_the_examples_run(page):
    result = doctest.testfile(str(page), module_relative=False, encoding="utf-8", optionflags=doctest.ELLIPSIS)
    assert result.attempted > 10
    assert result.failed == 0


def test_the_translation_has_the_same_headings_commands_and_code():
    assert headings(ENGLISH) == headings(CHINESE)
    for language in ("sh", "python"):
        assert blocks(ENGLISH, language) == blocks(CHINESE, language)
        assert blocks(ENGLISH, language)


def test_the_translation_has_the_same_figures():
    tables = [re.findall(r"^\|.*\|$", page.read_text(encoding="utf-8"), flags=re.M) for page in (ENGLISH, CHINESE)]
    assert len(tables[0]) == len(tables[1])
    for english, chinese in zip(*tables, strict=True):
        assert re.findall(r"\d[\d.,]*\d|\d", english) == re.findall(r"\d[\d.,]*\d|\d", chinese)


@both
def test_the_files_it_names_exist(page):
    text = page.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if not link.startswith("http")]
    rooms = re.findall(r"^  (\S+/|\S+\.py) ", text, flags=re.M)
    assert links
    assert rooms
    for link in links:
        assert (ROOT / link).is_file(), link
    for room in rooms:
        assert (ROOT / "minimodels" / room).exists(), room


def test_each_of_the_two_commands_stands_once_on_a_line_of_its_own():
    lines = ENGLISH.read_text(encoding="utf-8").splitlines()
    assert lines.count('pip install -c constraints.txt -e ".[plot]" && python train.py cnn') == 1
    assert lines.count('pip install -c constraints.txt -e ".[dev]" && pytest') == 1
