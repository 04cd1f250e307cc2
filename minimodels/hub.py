"""Files of published models: from a folder, from the Hugging Face cache, or from the hub.

Downloading, the cache and its settings (HF_ENDPOINT for a mirror, HF_TOKEN, HF_HUB_OFFLINE, HF_HOME) are
huggingface_hub's. What is added here: the first of several names, models under their old names, a look at the checksum,
and one sentence for whatever goes wrong.
"""

import errno
import hashlib
import os
import re
from difflib import get_close_matches
from pathlib import Path

from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from minimodels.errors import InputError

KNOWN = ("gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl", "distilgpt2")
"""Models that stood on the hub without an owner once; the name works still, and the cache may have either."""

OWNERS = {"distilgpt2": "distilbert"}
"""Whose they are now, where it is not openai-community."""

FAILURES: tuple[type[Exception], ...] = (*HfHubHTTPError.__bases__, OSError, ValueError)
"""What huggingface_hub raises: the errors of its HTTP library, which is another one in each of its major versions
and named by its own error's parents, and those of the disk; what it finds inconsistent is one of these too."""


def find_file(
    name_or_folder: str | os.PathLike[str],
    *filenames: str,
    revision: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    token: str | bool | None = None,
    local_files_only: bool = False,
) -> Path:
    """Find the first of these files that a model has, and download it if need be.

    Args:
        name_or_folder: a folder, or the name of a model on the hub, such as "gpt2".
        *filenames: names of one thing, the preferred one first, such as "model.safetensors", "pytorch_model.bin".
        revision: branch, tag or commit on the hub.
        cache_dir: the Hugging Face cache; None is where huggingface_hub keeps it.
        token: of a Hugging Face account.
        local_files_only: do not go to the network.

    Raises:
        InputError: there is none of them, it cannot be had, or is not what was published.

    Cost: a file of the cache is read once for its checksum, at about 1.5 GB a second; one of a folder is not.

    See: tests/test_hub.py

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "config.json").write_text("{}")
        >>> find_file(folder, "config.json").name
        'config.json'
    """
    folder = Path(name_or_folder)
    if folder.is_dir():
        for filename in filenames:
            if (folder / filename).is_file():
                return folder / filename
        raise InputError(f"{folder}: has no {' or '.join(filenames)}; give the folder of a saved model.")
    name = os.fspath(name_or_folder)
    if folder.exists() or not re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", name):
        raise InputError(f"{name}: there is no such folder, and it is no name on the hub; give one of the two.")
    cache = Path(cache_dir or constants.HF_HUB_CACHE)
    return _on_the_hub(name, filenames, revision, cache, token, local_files_only)


def _on_the_hub(
    name: str,
    filenames: tuple[str, ...],
    revision: str | None,
    cache: Path,
    token: str | bool | None,
    local_files_only: bool,
) -> Path:
    """The first of these files that a model on the hub, or in the cache, has."""
    repository = _cached_name(name, filenames, revision, cache)
    unreachable = ""
    for filename in filenames:
        offline = local_files_only or bool(unreachable)  # one vain attempt is enough
        try:
            path = hf_hub_download(
                repository, filename, revision=revision, cache_dir=cache, token=token, local_files_only=offline
            )
        except LocalEntryNotFoundError as error:
            unreachable = unreachable or _why_offline(error, local_files_only)
        except EntryNotFoundError:
            continue
        except FAILURES as error:
            raise InputError(_sentence(name, filename, revision, error)) from error
        else:
            return _verified(Path(path))
    either = " or ".join(filenames)
    if unreachable:
        raise InputError(
            f"{name}: {either} is not in the cache ({cache}), and {unreachable}; download the model on a machine with "
            f"network (hf download {name}) and give its folder{_nearby(name)}"
        )
    raise InputError(f"{name}: has no {either} on the hub; take a model that has{_nearby(name)}")


def _cached_name(name: str, filenames: tuple[str, ...], revision: str | None, cache: Path) -> str:
    """The name under which the cache has a model, of its old one and its new one; without either, the given one."""
    bare = name.rpartition("/")[2]
    owned = f"{OWNERS.get(bare, 'openai-community')}/{bare}"
    if bare not in KNOWN or name not in (bare, owned):
        return name
    for alias in (name, bare, owned):
        for filename in filenames:
            if isinstance(try_to_load_from_cache(alias, filename, cache, revision), str):
                return alias
    return name


def _verified(path: Path) -> Path:
    """The path, once its content is found to be what its name in the cache says.

    The cache calls a file by its checksum on the hub: SHA-256 for large ones, git's for small ones, which is SHA-1
    over "blob SIZE", a zero byte and the content. (A mirror may call it otherwise, and Windows without links by name.)
    """
    blob = path.readlink() if path.is_symlink() else path  # one step: beyond may lie a store that models share
    if blob.parent.name != "blobs" or not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", blob.name):
        return path
    digest = hashlib.sha256() if len(blob.name) == 64 else hashlib.sha1(b"blob %d\0" % path.stat().st_size)
    with path.open("rb") as file:
        hashlib.file_digest(file, lambda: digest)
    if digest.hexdigest() != blob.name:
        raise InputError(
            f"{path}: its checksum is wrong, so it is damaged or was changed after it was published; delete "
            f"{path.parent / blob} and run it again to download it anew."
        )
    return path


def _sentence(name: str, filename: str, revision: str | None, error: Exception) -> str:
    """What went wrong, and what to do about it."""
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    match error:
        case GatedRepoError():
            return (
                f"{name}: its owners let only those download it who accept their conditions; do so at "
                f"{constants.ENDPOINT}/{name}, then log in (hf auth login) or set HF_TOKEN."
            )
        case RepositoryNotFoundError() | HFValidationError():
            return f"{name}: there is no such model on the hub, or it is private (log in: hf auth login){_nearby(name)}"
        case RevisionNotFoundError():
            return f"{name}: has no revision {revision!r} on the hub; give a branch, a tag or a commit that it has."
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return (
                f"{name}: {filename} does not fit on the disk ({reason}); free some space, or choose another place "
                f"with cache_dir or HF_HOME."
            )
    return f"{name}: {filename} could not be downloaded ({reason}); run it again to go on with the rest."


def _why_offline(error: Exception, local_files_only: bool) -> str:
    """Why the hub was not asked, or gave no answer."""
    if local_files_only:
        return "local_files_only is set"
    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    cause = str(error.__cause__ or error).strip().splitlines()[0]
    return f"{constants.ENDPOINT} does not answer ({cause})"


def _nearby(name: str) -> str:
    """The end of a sentence: the known names that look like this one, if it is none itself."""
    bare = name.rpartition("/")[2]
    near = [] if bare in KNOWN else get_close_matches(bare, KNOWN, n=2, cutoff=0.7)
    return f"; did you mean {' or '.join(near)}?" if near else "."
