"""Print the tables of docs/scaling.md: `python -m minimodels.inspection.footprint`."""

import sys

from minimodels.inspection.footprint.tables import page

sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
sys.stdout.write(page())
