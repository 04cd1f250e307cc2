"""Commands as tests give them."""

import pytest

from minimodels.cli import main


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """Run a command that must fail; its sentence."""
    assert main([str(word) for word in words]) == 2
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    (line,) = err.splitlines()
    assert line.startswith("minimodels: ")
    assert line.endswith((".", "?"))
    return line
