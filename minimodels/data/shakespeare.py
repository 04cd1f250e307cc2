"""Tiny Shakespeare: the text that small language models are compared on."""

from pathlib import Path

from minimodels.data.download import cache_folder, digest, fetch
from minimodels.data.texts import read_text
from minimodels.errors import InputError

URLS = ("https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",)
CHECKSUM = "sha256:86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
FILE = "input.txt"


def load_shakespeare(folder: Path | None = None) -> str:
    """Scenes of Shakespeare's plays: 1,115,394 characters, 65 different ones.

    Args:
        folder: where input.txt lies; None looks into the cache, and downloads it (1.1 MB) if it is not there.

    Raises:
        InputError: the folder does not hold the file, it is another one, or it cannot be downloaded.

    References: A. Karpathy, char-rnn, 2015, https://github.com/karpathy/char-rnn

    See: tests/data/test_shakespeare.py
    """
    if folder is not None:
        path = folder / FILE
        if not path.is_file():
            raise InputError(f"--data-dir {folder}: has no {FILE}; give the folder of Tiny Shakespeare.")
        if digest(path, "sha256") != CHECKSUM:
            raise InputError(
                f"{path}: is not Tiny Shakespeare as published; give it as a text of your own, with --data."
            )
        return read_text(path)
    path = cache_folder() / "tinyshakespeare" / FILE
    if not path.is_file() or digest(path, "sha256") != CHECKSUM:
        fetch(
            URLS, path, CHECKSUM, remedy=f"get {FILE} from {URLS[0]} by other means and give its folder as --data-dir"
        )
    return read_text(path)
