"""Folders of published models: config.json and weights, as Hugging Face keeps them, read and written."""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from minimodels.checkpoint.config import PretrainedConfig, read_json
from minimodels.checkpoint.tensors import distinct, fill, plain
from minimodels.checkpoint.weights import load_tensors, write_tensors
from minimodels.errors import InputError
from minimodels.files import replacing, write_json
from minimodels.hub import find_file

WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
"""What a folder's weights may be called, the preferred one first; an index says which file holds which tensor."""


class PretrainedModel(nn.Module):
    """A model that comes from a folder of a published model, or goes into one.

    A model's class inherits from it, is made with its settings alone, and keeps them as `config`.

    Attributes:
        config_class: what the settings are.
        base_model_prefix: the name of the part without a head; a file may hold that part alone, without the name.
        ignored: what the names of buffers match that older files hold and nobody reads.

    See: tests/checkpoint/test_pretrained.py.
    """

    config_class: ClassVar[type[PretrainedConfig]]
    base_model_prefix: ClassVar[str] = ""
    ignored: ClassVar[str | None] = None

    config: Any

    def tie_weights(self) -> None:
        """Let modules share what is one in the model; by default nothing is."""

    @classmethod
    def from_pretrained(
        cls,
        name_or_folder: str | os.PathLike[str],
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        revision: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        token: str | bool | None = None,
        local_files_only: bool = False,
    ) -> Self:
        """Read a published model, ready for use (`eval`).

        Args:
            name_or_folder: a folder, or a name on the hub, such as "gpt2".
            dtype: of the weights; None keeps that of the file.
            device: where they are to be; None is the CPU.
            revision: branch, tag or commit on the hub.
            cache_dir: the Hugging Face cache; None is where huggingface_hub keeps it.
            token: of a Hugging Face account.
            local_files_only: do not go to the network.

        Raises:
            InputError: there is no such model, it cannot be had, is damaged, or is another one.

        Cost: one copy of the weights in memory at the most. On the CPU, in the file's own dtype, they are mapped:
            pages are read when they are first used.
        """
        where: dict[str, Any] = {
            "revision": revision,
            "cache_dir": cache_dir,
            "token": token,
            "local_files_only": local_files_only,
        }
        config = cls.config_class.from_pretrained(name_or_folder, **where)
        path = find_file(name_or_folder, *WEIGHTS, **where)
        tensors = read_weights(path, lambda shard: find_file(name_or_folder, shard, **where))
        with torch.device("meta"):  # shapes alone: no memory, no random numbers
            model = cls(config)
        tensors = model._named_as_here(tensors)
        for name, tensor in tensors.items():  # one by one, so that the source of each goes before the next comes
            tensors[name] = tensor.to(device=device, dtype=dtype if tensor.is_floating_point() else None)
        fill(model, tensors, f"{path} holds a model", "take weights and config.json of one model", assign=True)
        model.tie_weights()
        _wake(model, device)
        return model.eval()

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write the model as a folder that Hugging Face reads, and `from_pretrained` too.

        Both files are complete before the first takes its place, so that a folder is never left with half a model.

        Args:
            folder: config.json and model.safetensors in it are replaced; it is made if there is none.

        Raises:
            InputError: the weights could not be written.
            OSError: the folder could not be.
        """
        folder, model = Path(folder), plain(self)
        tensors = distinct(model)
        about = {"architectures": [type(model).__name__], "dtype": str(next(model.parameters()).dtype)[6:]}
        weights = folder / WEIGHTS[0]
        with replacing(folder / "config.json") as settings, replacing(weights) as temporary:
            write_tensors(weights, temporary, tensors, {"format": "pt"})
            write_json(settings, self.config.to_dict() | about)

    def _named_as_here(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors of a file under this model's names: with its prefix or without, and nothing that is ignored."""
        prefix = f"{self.base_model_prefix}."
        mine = self.state_dict().keys()
        whole, published = (any(name.startswith(prefix) for name in names) for names in (mine, tensors))
        named = {}
        for name, tensor in tensors.items():
            if self.ignored and re.search(self.ignored, name):
                continue
            if whole and not published:
                named[name if name in mine else prefix + name] = tensor
            elif whole or not published:
                named[name] = tensor
            elif name.startswith(prefix):  # a model without a head leaves the head's weights where they are
                named[name.removeprefix(prefix)] = tensor
        return named


def _wake(model: nn.Module, device: torch.device | str | None) -> None:
    """Give memory to buffers that no file has; their modules fill it, as `Constant` of minimodels.nn does."""

    def memory(tensor: Tensor) -> Tensor:
        return torch.empty_like(tensor, device=device or "cpu") if tensor.is_meta else tensor

    model._apply(memory)


def read_weights(path: Path, find: Callable[[str], Path]) -> dict[str, Tensor]:
    """Read a file of weights, or all files that an index names.

    A pickle is opened with `weights_only`: tensors come out of it, and nothing in it is run.

    Args:
        path: the file, or the index.
        find: gives the path of a file that the index names.

    Raises:
        InputError: a file is damaged, is missing, or holds something other than tensors.

    Cost: no copy; files are mapped, except pickles from before PyTorch 1.6.
    """
    if path.suffix == ".safetensors":
        return load_tensors(path)[0]
    if path.suffix == ".bin":
        return _unpickled(path)
    tensors: dict[str, Tensor] = {}
    for shard in _shards(path):
        tensors |= read_weights(find(shard), find)
    return tensors


def _shards(path: Path) -> list[str]:
    """The files that an index names; they lie beside it."""
    files = read_json(path).get("weight_map")
    if not isinstance(files, dict) or not all(isinstance(name, str) for name in files.values()):
        raise InputError(f"{path}: is no index of weights, for it has no weight_map; take another copy.")
    names = sorted(set(files.values()))
    for name in names:
        if Path(name).name != name or Path(name).suffix not in (".safetensors", ".bin"):
            raise InputError(f"{path}: names {name!r} as a file of weights, which is none; take another copy.")
    return names


def _unpickled(path: Path) -> dict[str, Tensor]:
    """The tensors of a pickle that holds nothing else."""
    with path.open("rb") as file:
        archive = file.read(4) == b"PK\3\4"  # PyTorch's format since 1.6, which can be mapped
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True, mmap=archive)
    except Exception as error:  # a damaged pickle can fail in any way at all
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(
            f"{path}: is damaged or holds more than tensors ({reason}); nothing in it was run, take another copy, "
            f"best as safetensors."
        ) from error
    if not isinstance(tensors, dict) or not all(isinstance(tensor, Tensor) for tensor in tensors.values()):
        raise InputError(f"{path}: does not hold tensors by name; take another copy, best as safetensors.")
    return {**tensors}
