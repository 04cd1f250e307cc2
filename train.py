"""The front door: `python train.py cnn` is `minimodels train cnn`."""

import sys

from minimodels.cli import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
