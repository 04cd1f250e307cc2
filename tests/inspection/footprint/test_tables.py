"""The page holds what the command gives."""

import re
import subprocess
import sys
from pathlib import Path

import minimodels
from minimodels.inspection.footprint import Setup, memory
from minimodels.inspection.footprint.tables import BATCH, page, planned

ROOT = Path(minimodels.__file__).parent.parent
PAGE = ROOT / "docs" / "scaling.md"


def test_the_page_holds_what_the_command_gives():
    text = PAGE.read_text(encoding="utf-8")
    (tables,) = re.findall(r"^<!-- tables -->\n\n(.*)\n<!-- end of tables -->$", text, flags=re.M | re.S)
    assert tables == page(), "write the output of python -m minimodels.inspection.footprint into docs/scaling.md"


def test_the_command():
    command = [sys.executable, "-m", "minimodels.inspection.footprint"]
    done = subprocess.run(command, capture_output=True, check=True, cwd=ROOT)
    assert done.stdout.decode("utf-8").replace("\r\n", "\n") == page()


def test_every_step_reads_the_whole_batch_and_fits():
    for devices in (1, 8, 64):
        found = planned(Setup.of("gpt2-xl", devices=devices, shard=True))
        assert found.batch * found.passes * devices == BATCH
        assert memory(found).peak <= 72e9


def test_the_files_it_names_exist():
    for path in re.findall(r"`((?:minimodels|tests)/[\w/]+(?:\.py)?)`", PAGE.read_text(encoding="utf-8")):
        assert (ROOT / path).exists(), path
