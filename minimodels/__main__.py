"""`python -m minimodels` is `minimodels`."""

import sys

from minimodels.cli import main

if __name__ == "__main__":
    sys.exit(main())
