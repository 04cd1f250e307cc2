"""Settings: what goes in comes out, and what does not suit is refused by name."""

import dataclasses
import inspect
import json
import math
import string
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimodels.errors import InputError
from minimodels.recipes.flags import parse_settings
from minimodels.recipes.runs import read_config, write_config
from minimodels.recipes.settings import GREATEST, LARGEST, SMALLEST, Settings, setting, settings
from minimodels.recipes.wording import flag


@settings
class Everything(Settings):
    """One setting of every kind. The rest of the text is not for --help."""

    count: int = setting(3, "a whole number", at_least=1)
    rate: float = setting(0.5, "a number, 100 % of it", above=0)
    share: float = setting(0.1, "a part", at_least=0, at_most=1)
    name: str = setting("x", "a text")
    place: Path = setting(Path("here"), "a path")
    kind: Literal["digits", "mnist"] = setting("digits", "one of two")
    loud: bool = setting(False, "a switch")
    maybe_count: int | None = setting(None, "a whole number or none")
    maybe_kind: Literal["a", "b"] | None = setting("a", "one of two or none")
    maybe_place: Path | None = setting(None, "a path or none")


texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1).filter(
    lambda text: text.lower() != "none" and not text.startswith("-")
)
paths = texts.map(Path).filter(lambda path: str(path).lower() != "none" and not str(path).startswith("-"))
values = {
    "count": st.integers(1, LARGEST),
    "rate": st.floats(SMALLEST, GREATEST),
    "share": st.just(0.0) | st.floats(SMALLEST, 1),
    "name": texts,
    "place": paths,
    "kind": st.sampled_from(["digits", "mnist"]),
    "loud": st.booleans(),
    "maybe_count": st.none() | st.integers(-LARGEST, LARGEST),
    "maybe_kind": st.sampled_from([None, "a", "b"]),
    "maybe_place": st.none() | paths,
}
some_values = st.fixed_dictionaries({}, optional=values)


def as_flags(chosen: dict[str, Any]) -> list[str]:
    """The command line that asks for these values."""
    words = []
    for name, value in chosen.items():
        if isinstance(value, bool):
            words.append(flag(name) if value else flag(name).replace("--", "--no-"))
        else:
            words.append(f"{flag(name)}={value}")
    return words


def parse(*words: str) -> Everything:
    return parse_settings(Everything, "everything", words, "minimodels train everything")


@given(chosen=some_values)
def test_python_flags_and_json_give_the_same_settings(
    tmp_path_factory: pytest.TempPathFactory, chosen: dict[str, Any]
) -> None:
    wanted = Everything(**chosen)
    path = tmp_path_factory.mktemp("run") / "config.json"
    write_config(path, "everything", wanted)
    name, values = read_config(path)
    assert name == "everything"
    assert Everything.from_json(values, "config.json") == wanted
    assert parse(*as_flags(chosen)) == wanted
    assert parse("--config", str(path)) == wanted
    for field in dataclasses.fields(wanted):
        value, default = getattr(wanted, field.name), field.default
        assert type(value) in (type(default), type(None), *(type(chosen[n]) for n in chosen if n == field.name))


@given(filed=some_values, flagged=some_values)
def test_defaults_yield_to_the_file_and_the_file_to_flags(
    tmp_path_factory: pytest.TempPathFactory, filed: dict[str, Any], flagged: dict[str, Any]
) -> None:
    path = tmp_path_factory.mktemp("run") / "config.json"
    path.write_text(json.dumps({n: str(v) if isinstance(v, Path) else v for n, v in filed.items()}))
    assert parse("--config", str(path), *as_flags(flagged)) == Everything(**{**filed, **flagged})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--count 0", "--count 0: must be at least 1."),
        ("--count -3", "--count -3: must be at least 1."),
        ("--count five", "--count five: must be a whole number."),
        ("--count 2.5", "--count 2.5: must be a whole number."),
        ("--count 1e3", "--count 1e3: must be a whole number."),
        ("--count none", "--count none: must be a whole number."),
        (f"--count {LARGEST + 1}", f"--count {LARGEST + 1}: must be at most {LARGEST}."),
        (f"--count {'9' * 5000}", "must be a whole number."),
        ("--rate nan", "--rate nan: must be a finite number."),
        ("--rate inf", "--rate inf: must be a finite number."),
        ("--rate 1e999", "--rate 1e999: must be a finite number."),
        ("--rate 1e300", "--rate 1e300: must be at most 1e+30."),
        ("--rate 1e-300", "--rate 1e-300: must be 1e-30 or more away from 0."),
        ("--rate 0", "--rate 0: must be above 0."),
        ("--rate -0.1", "--rate -0.1: must be above 0."),
        ("--share 1.5", "--share 1.5: must be at most 1."),
        ("--kind mnis", "--kind mnis: choose digits or mnist; did you mean mnist?"),
        ("--kind zzz", "--kind zzz: choose digits or mnist."),
        ("--name=", "--name: is empty; give one, or leave it out."),
        ("--maybe-place=", "is empty; give one, or leave it out."),
        ("--maybe-kind c", "--maybe-kind c: choose a or b."),
        ("--cuont 3", "--cuont: minimodels train everything does not take this; did you mean --count?"),
        ("--coun=3", "--coun: minimodels train everything does not take this; did you mean --count?"),
        ("--no-luod", "did you mean --no-loud?"),
        ("stray", "stray: minimodels train everything does not take this."),
        ("--count", "--count: expected one argument; minimodels train everything --help shows how it is used."),
        ("--loud=yes", "ignored explicit argument 'yes'"),
    ],
)
def test_a_bad_command_line_is_one_sentence_that_names_the_flag(words: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(*words.split())
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"cuont": 3}', 'there is no setting "cuont"; did you mean count?'),
        ('{"count": 0}', '"count" 0: must be at least 1.'),
        ('{"count": true}', '"count" True: must be a whole number.'),
        ('{"count": null}', '"count" None: must be a whole number.'),
        ('{"count": 2.0}', '"count" 2.0: must be a whole number.'),
        ('{"count": [1]}', '"count" [1]: must be a whole number.'),
        ('{"rate": NaN}', '"rate" nan: must be a finite number.'),
        ('{"rate": 1' + "0" * 400 + "}", "must be a finite number."),
        ('{"kind": ["mnist"]}', "choose digits or mnist"),
        ('{"kind": null}', "choose digits or mnist"),
        ('{"loud": "yes"}', "\"loud\" 'yes': must be true or false."),
        ('{"loud": 1}', '"loud" 1: must be true or false.'),
        ('{"name": 5}', '"name" 5: must be a text.'),
        ('{"place": ""}', "is empty; give one, or leave it out."),
        ('{"place": "a\\u0000b"}', "must be a path."),
        ('{"place": "\\ud800"}', "must be a path."),
        ('{"recipe": "lstm"}', "has settings of the recipe lstm, not of everything."),
        ('{"recipe": 5}', "must be a JSON object"),
        ("[1]", "must be a JSON object"),
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        (b"\xff\xfe\xfa", "is not JSON"),
        (None, "there is no such file; give a config.json."),
    ],
)
def test_a_bad_config_file_is_one_sentence_that_names_the_file(
    tmp_path: Path, content: str | bytes | None, message: str
) -> None:
    path = tmp_path / "config.json"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError) as caught:
        parse("--config", str(path))
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@given(noise=st.binary(max_size=60) | st.text(string.printable, max_size=60).map(str.encode))
def test_noise_as_a_config_file_is_refused_or_read(tmp_path_factory: pytest.TempPathFactory, noise: bytes) -> None:
    path = tmp_path_factory.mktemp("run") / "config.json"
    path.write_bytes(noise)
    try:
        parse("--config", str(path))
    except InputError as error:
        message = str(error)
    else:
        assert isinstance(json.loads(noise), dict)
        return
    assert str(path) in message


@given(name=st.sampled_from(sorted(values)), value=st.none() | st.booleans() | st.floats() | st.integers() | st.text())
def test_from_python_too_only_what_suits_is_taken(name: str, value: Any) -> None:
    try:
        made = getattr(Everything(**{name: value}), name)
    except InputError as error:
        message = str(error)
    else:
        assert made is None or not isinstance(made, float) or math.isfinite(made)
        return
    assert message.startswith(flag(name))


def test_a_path_may_begin_at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert parse("--place=~/runs").place == tmp_path / "runs"
    assert Everything(maybe_place=Path("~")).maybe_place == tmp_path
    assert parse("--place=~no body/runs").place == Path("~no body/runs")  # as a shell leaves it


def test_help_shows_type_default_and_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    with pytest.raises(SystemExit) as stop:
        parse("--help")
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert "One setting of every kind." in text
    lines = {line.split()[0]: line for line in text.splitlines() if line.strip().startswith("--")}
    for name in values:
        assert flag(name) + ("," if name == "loud" else "") in lines, name
    assert "--count INT" in lines["--count"]
    assert "a whole number (default: 3)" in lines["--count"]
    assert "--rate FLOAT" in lines["--rate"]
    assert "a number, 100 % of it (default: 0.5)" in lines["--rate"]
    assert "--kind {digits,mnist}" in lines["--kind"]
    assert "a path or none" in lines["--maybe-place"]
    assert "default" not in lines["--maybe-place"]
    assert "--no-loud" in lines["--loud,"]


def test_the_docstring_lists_every_setting() -> None:
    doc = inspect.getdoc(Everything)
    assert doc is not None
    for name in values:
        assert f"    {name}: " in doc


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Everything().count = 5  # type: ignore[misc]
