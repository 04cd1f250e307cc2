"""Reviews of films, good or bad: SST-2, rt-polarity and IMDb."""

import tarfile
from pathlib import Path

from minimodels.data.download import cache_folder, fetch
from minimodels.data.texts import TextSet, decoded, joined, lines_of, read_folders, read_text, read_tsv, split
from minimodels.errors import InputError

REVIEWS = ("sst2", "rt-polarity", "imdb")
NAMES = ("negative", "positive")
IMDB_URLS = ("https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",)
IMDB_CHECKSUM = "md5:7c2ac02c03563afcf9b574c7e56c153a"
SHARED = "sst2 and rt-polarity hold many of the same sentences: never train on one and test on the other."


def load_reviews(name: str, data_dir: Path | None = None) -> tuple[TextSet, TextSet]:
    """Reviews of films with the label 0 (negative) or 1 (positive), in the split that everybody uses.

    - sst2: single sentences, 6,920 to train on and the 872 of the development set to test with; files sst2-train.tsv
      and sst2-dev.tsv, lines `sentence<TAB>label`.
    - rt-polarity: 10,662 single sentences, of which a tenth is held out; files rt-polarity.neg and rt-polarity.pos, one
      sentence a line. It holds many sentences of sst2.
    - imdb: 25,000 and 25,000 whole reviews; the folder aclImdb, or its archive aclImdb_v1.tar.gz, which is downloaded
      when no folder is given.

    Args:
        name: which of them.
        data_dir: folder with the files.

    Returns:
        (train, test)

    Raises:
        InputError: an unknown name, a file that is missing or cannot be read, or a download that failed.

    References: Socher et al. 2013, "Recursive deep models for semantic compositionality over a sentiment treebank",
        EMNLP; Pang & Lee 2005, "Seeing stars", doi:10.3115/1219840.1219855; Maas et al. 2011, "Learning word vectors
        for sentiment analysis", ACL.

    See: tests/data/test_reviews.py

    Example:
        >>> load_reviews("sst3")
        Traceback (most recent call last):
        ...
        minimodels.errors.InputError: reviews 'sst3' are unknown; give sst2, rt-polarity or imdb.
    """
    if name not in REVIEWS:
        raise InputError(f"reviews {name!r} are unknown; give sst2, rt-polarity or imdb.")
    if name == "imdb":
        return _imdb(data_dir)
    if data_dir is None:
        raise InputError(f"{name}: give the folder that holds its files with --data-dir.")
    if name == "sst2":
        return read_tsv(data_dir / "sst2-train.tsv", NAMES), read_tsv(data_dir / "sst2-dev.tsv", NAMES)
    kinds = (_lines(data_dir / f"rt-polarity.{kind}") for kind in ("neg", "pos"))
    return split(joined(kinds, NAMES))


def _lines(path: Path) -> list[str]:
    """The lines of a file."""
    lines = [line.strip() for line in lines_of(read_text(path))]
    for number, line in enumerate(lines, start=1):
        if not line:
            raise InputError(f"{path}, line {number}: the text is empty; write one, or take the line out.")
    return lines


def _imdb(data_dir: Path | None) -> tuple[TextSet, TextSet]:
    """IMDb's reviews from their folder or from their archive."""
    if data_dir is not None:
        for folder in (data_dir, data_dir / "aclImdb"):
            if (folder / "train").is_dir():
                return read_folders(folder / "train"), read_folders(folder / "test")
    archive = (data_dir or cache_folder() / "imdb") / "aclImdb_v1.tar.gz"
    if not archive.exists():
        if data_dir is not None:
            raise InputError(f"--data-dir {data_dir}: has no folder aclImdb and no aclImdb_v1.tar.gz; give another.")
        fetch(IMDB_URLS, archive, IMDB_CHECKSUM, remedy="get aclImdb_v1.tar.gz otherwise and give its --data-dir")
    return _archived(archive)


def _archived(archive: Path) -> tuple[TextSet, TextSet]:
    """The reviews in the archive, read where they are: nothing is unpacked, so no name in it can lead anywhere."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                parts = Path(member.name).parts
                if len(parts) == 4 and parts[1] in ("train", "test") and parts[2] in ("neg", "pos"):
                    file = tar.extractfile(member)
                    if file is not None:
                        found.setdefault((parts[1], parts[2]), {})[parts[3]] = decoded(file.read(), member.name)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise InputError(f"{archive}: is damaged ({error}); remove it, it will be downloaded again.") from None
    sets = []
    for part in ("train", "test"):
        kinds = [found.get((part, kind), {}) for kind in ("neg", "pos")]
        if not all(kinds):
            raise InputError(f"{archive}: lacks the reviews of {part}; remove it, it will be downloaded again.")
        sets.append(joined(([texts[name] for name in sorted(texts)] for texts in kinds), NAMES))
    return sets[0], sets[1]
