"""Folders of published models: what is written comes back, transformers reads it, and what does not fit is refused."""

import errno
import json
import os
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file

from minimodels import nn
from minimodels.checkpoint import PretrainedConfig, PretrainedModel, pretrained
from minimodels.errors import InputError
from minimodels.models import GPT2Config, GPT2LMHeadModel, GPT2Model

CONFIG = GPT2Config(vocab_size=29, n_positions=12, n_embd=12, n_layer=2, n_head=3, bos_token_id=1, eos_token_id=2)


def fresh(seed: int = 0, **settings: object) -> GPT2LMHeadModel:
    torch.manual_seed(seed)
    return GPT2LMHeadModel(GPT2Config.from_dict(CONFIG.to_dict() | settings)).eval()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the model of seed 0."""
    fresh().save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def published(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """As the files of 2019 name things: without a prefix, without the head, and with the causal mask."""
    named = {name.removeprefix("transformer."): t for name, t in tensors.items() if name != "lm_head.weight"}
    for layer in range(CONFIG.n_layer):
        named[f"h.{layer}.attn.bias"] = torch.ones(1, 1, 12, 12).tril()
        named[f"h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)
    return named


def assert_same(a: torch.nn.Module, b: torch.nn.Module) -> None:
    first, second = a.state_dict(), b.state_dict()
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


def refused(folder: Path, kind: type[PretrainedModel] = GPT2LMHeadModel) -> str:
    with pytest.raises(InputError) as caught:
        kind.from_pretrained(folder)
    sentence = str(caught.value)
    assert str(folder) in sentence
    assert sentence.endswith(".")
    return sentence


@given(
    dtype=st.sampled_from([torch.float32, torch.float64, torch.float16, torch.bfloat16]),
    asked=st.sampled_from([None, torch.float32, torch.float64, torch.bfloat16]),
    tied=st.booleans(),
    seed=st.integers(0, 99),
)
def test_what_is_written_comes_back(
    tmp_path_factory: pytest.TempPathFactory, dtype: torch.dtype, asked: torch.dtype | None, tied: bool, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("model")
    model = fresh(seed, tie_word_embeddings=tied, task="poems").to(dtype)
    model.save_pretrained(folder)
    loaded = GPT2LMHeadModel.from_pretrained(folder, dtype=asked)
    assert_same(loaded, model.to(asked or dtype))
    assert not loaded.training
    assert all(parameter.requires_grad for parameter in loaded.parameters())
    assert loaded.config.to_dict() == {
        **model.config.to_dict(),
        "architectures": ["GPT2LMHeadModel"],
        "dtype": str(dtype).removeprefix("torch."),
    }


def test_a_loaded_model_learns(folder: Path) -> None:
    """Its weights are mapped from the file; what it learns does not reach the file."""
    before = (folder / "model.safetensors").read_bytes()
    model = GPT2LMHeadModel.from_pretrained(folder)
    ids = torch.randint(29, (2, 7))
    model(ids, labels=ids).loss.backward()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter -= parameter.grad
    assert (folder / "model.safetensors").read_bytes() == before
    model.save_pretrained(folder)  # over the file that it is mapped from
    assert_same(GPT2LMHeadModel.from_pretrained(folder), model)


def test_a_folder_holds_what_others_look_for(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    settings = json.loads((folder / "config.json").read_text())
    assert settings["model_type"] == "gpt2"
    assert settings["architectures"] == ["GPT2LMHeadModel"]
    with safe_open(folder / "model.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"}
        assert "transformer.wte.weight" in file.keys()  # noqa: SIM118 (not a mapping)
        assert "lm_head.weight" not in file.keys()  # noqa: SIM118


def test_the_same_weights_give_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    fresh().save_pretrained(tmp_path / "again")
    for name in ("config.json", "model.safetensors"):
        assert (folder / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_the_names_of_2019(folder: Path) -> None:
    expected = fresh()
    save_file(published(expected.state_dict()), folder / "model.safetensors")
    assert_same(GPT2LMHeadModel.from_pretrained(folder), expected)
    assert_same(GPT2Model.from_pretrained(folder), expected.transformer)


@pytest.mark.parametrize("twice", [True, False])
def test_a_head_that_is_written_out(folder: Path, twice: bool) -> None:
    expected = fresh()
    tensors = {name: tensor.clone() for name, tensor in expected.state_dict().items()}
    if not twice:
        del tensors["transformer.wte.weight"]  # some write the tied weight under its last name
    save_file(tensors, folder / "model.safetensors")
    loaded = GPT2LMHeadModel.from_pretrained(folder)
    assert_same(loaded, expected)
    assert loaded.lm_head.weight is loaded.transformer.wte.weight


def test_a_body_with_and_without_its_head(folder: Path, tmp_path: Path) -> None:
    body = GPT2Model.from_pretrained(folder)
    assert_same(body, fresh().transformer)
    body.save_pretrained(tmp_path / "body")
    assert_same(GPT2LMHeadModel.from_pretrained(tmp_path / "body"), fresh())


@pytest.mark.parametrize("archive", [True, False], ids=["zip", "legacy"])
def test_a_pickle_of_tensors(folder: Path, archive: bool) -> None:
    (folder / "model.safetensors").unlink()
    torch.save(fresh().state_dict(), folder / "pytorch_model.bin", _use_new_zipfile_serialization=archive)
    assert_same(GPT2LMHeadModel.from_pretrained(folder), fresh())


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_weights_in_several_files(folder: Path, suffix: str) -> None:
    (folder / "model.safetensors").unlink()
    tensors, files = published(fresh().state_dict()), {}
    for shard in range(3):
        name = f"weights-{shard}.{suffix}"
        part = dict(list(tensors.items())[shard::3])
        files |= dict.fromkeys(part, name)
        (save_file if suffix == "safetensors" else torch.save)(part, folder / name)
    index = folder / ("model.safetensors.index.json" if suffix == "safetensors" else "pytorch_model.bin.index.json")
    index.write_text(json.dumps({"metadata": {}, "weight_map": files}))
    assert_same(GPT2LMHeadModel.from_pretrained(folder), fresh())
    (folder / f"weights-1.{suffix}").unlink()
    assert f"has no weights-1.{suffix}" in refused(folder)


@pytest.mark.parametrize(
    ("index", "words"),
    [
        ("{}", "is no index of weights"),
        ('{"weight_map": [1]}', "is no index of weights"),
        ('{"weight_map": {"a": 1}}', "is no index of weights"),
        ('{"weight_map": {"a": "../other.safetensors"}}', "names '../other.safetensors' as a file of weights"),
        ('{"weight_map": {"a": "/etc/passwd"}}', "names '/etc/passwd' as a file of weights"),
        ('{"weight_map": {"a": "run.py"}}', "names 'run.py' as a file of weights"),
        ("half", "is no JSON"),
    ],
)
def test_an_index_that_is_none(folder: Path, index: str, words: str) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(index)
    assert words in refused(folder)


def test_what_does_not_fit_is_named_with_both_shapes(folder: Path) -> None:
    tensors = fresh().state_dict()
    del tensors["lm_head.weight"], tensors["transformer.h.0.ln_1.bias"]
    tensors["transformer.h.1.attn.c_attn.weight"] = torch.zeros(36, 12)
    tensors["transformer.h.2.ln_1.bias"] = torch.zeros(12)
    save_file(tensors, folder / "model.safetensors")
    sentence = refused(folder)
    for words in (
        "missing in the file: transformer.h.0.ln_1.bias [12]",
        "unknown to the model: transformer.h.2.ln_1.bias [12]",
        "transformer.h.1.attn.c_attn.weight [36, 12] in the file but [12, 36] in the model",
        "GPT2LMHeadModel",
    ):
        assert words in sentence


def test_a_head_that_differs_though_it_is_tied(folder: Path) -> None:
    tensors = {name: tensor.clone() for name, tensor in fresh().state_dict().items()}
    tensors["lm_head.weight"] += 1
    save_file(tensors, folder / "model.safetensors")
    assert "different in the file but one in the model: transformer.wte.weight and lm_head.weight" in refused(folder)
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(settings | {"tie_word_embeddings": False}))
    loaded = GPT2LMHeadModel.from_pretrained(folder)
    assert torch.equal(loaded.lm_head.weight, loaded.transformer.wte.weight + 1)


def test_a_stranger_s_pickle_runs_nothing(folder: Path, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(tmp_path / "exploded"),)

    (folder / "model.safetensors").unlink()
    for save in (torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))):
        save({"wte.weight": Bomb()}, folder / "pytorch_model.bin")
        assert "nothing in it was run" in refused(folder)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"abcdef", b"PK\3\4" + bytes(100)])
def test_a_damaged_pickle(folder: Path, content: bytes) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(content)
    assert "is damaged" in refused(folder)


@pytest.mark.parametrize("value", [torch.zeros(2), [torch.zeros(2)], {"epoch": 3}])
def test_a_pickle_of_something_else(folder: Path, value: object) -> None:
    (folder / "model.safetensors").unlink()
    torch.save(value, folder / "pytorch_model.bin")
    assert "does not hold tensors by name" in refused(folder)


def test_a_damaged_file_of_weights(folder: Path) -> None:
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[:-100])
    assert "not a whole safetensors file" in refused(folder)


def test_no_folder_no_settings_no_weights(folder: Path, tmp_path: Path) -> None:
    assert "there is no such folder" in refused(tmp_path / "nothing")
    (folder / "model.safetensors").unlink()
    assert "has no model.safetensors or model.safetensors.index.json or pytorch_model.bin" in refused(folder)
    (folder / "config.json").unlink()
    assert "has no config.json" in refused(folder)


@pytest.mark.parametrize("victim", ["write_tensors", "write_json"])
def test_a_folder_is_never_left_half_written(folder: Path, victim: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    monkeypatch.setattr(pretrained, victim, full)
    with pytest.raises(OSError, match="No space left"):
        fresh(1).save_pretrained(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@dataclass(kw_only=True)
class WavesConfig(PretrainedConfig):
    """A width."""

    model_type: ClassVar[str] = "waves"
    width: int = 3


class Waves(PretrainedModel):
    """A model with a buffer that is not written, and that it computes wherever it goes."""

    config_class = WavesConfig

    def __init__(self, config: WavesConfig) -> None:
        super().__init__()
        self.config = config
        self.scale = nn.Parameter(torch.randn(2))
        self.register_buffer("waves", torch.arange(config.width).cos(), persistent=False)

    def _apply(self, fn: Any, recurse: bool = True) -> "Waves":
        super()._apply(fn, recurse)
        self.waves = torch.arange(self.config.width, device=self.waves.device).cos()
        return self


def test_buffers_that_are_not_written_are_computed_anew(tmp_path: Path) -> None:
    model = Waves(WavesConfig(width=4))
    model.save_pretrained(tmp_path)
    loaded = Waves.from_pretrained(tmp_path)
    assert torch.equal(loaded.waves, model.waves)
    assert torch.equal(loaded.scale, model.scale)


@given(data=st.data())
def test_any_damage_to_a_pickle_is_refused_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("pickle")
    weights, model = folder / "pytorch_model.bin", Waves(WavesConfig())
    model.save_pretrained(folder)
    (folder / "model.safetensors").unlink()
    torch.save(model.state_dict(), weights, _use_new_zipfile_serialization=data.draw(st.booleans()))
    content = bytearray(weights.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    weights.write_bytes(content[: data.draw(st.none() | st.integers(0, len(content)))])
    message = str(weights)
    try:
        Waves.from_pretrained(folder)  # a pickle has no checksum: a number may have become another
    except InputError as error:
        message = str(error)
    assert str(weights) in message


def test_memory_holds_one_copy_at_most(tmp_path: Path) -> None:
    """The weights of the loaded model are the file's own pages: nothing is allocated for them."""
    model = GPT2LMHeadModel(GPT2Config(vocab_size=9, n_positions=8, n_embd=256, n_layer=4, n_head=2))
    model.save_pretrained(tmp_path)
    path = str(tmp_path / "model.safetensors")
    loaded = GPT2LMHeadModel.from_pretrained(tmp_path)
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("what is mapped is read from Linux's /proc")
    spans = [
        tuple(int(end, 16) for end in line.split()[0].split("-"))
        for line in maps.read_text().splitlines()
        if line.endswith(path)
    ]
    for name, parameter in loaded.named_parameters():
        assert any(start <= parameter.data_ptr() < end for start, end in spans), name


# --- transformers ---


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_transformers_reads_what_we_write_and_we_what_it_writes(tmp_path: Path, tied: bool, dtype: torch.dtype) -> None:
    transformers = pytest.importorskip("transformers")
    ours, ids = fresh(tie_word_embeddings=tied).to(dtype), torch.randint(29, (2, 7))
    ours.save_pretrained(tmp_path / "ours")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "ours", dtype="auto").eval()
    assert type(theirs).__name__ == "GPT2LMHeadModel"
    assert theirs.dtype == dtype
    assert_same(ours, theirs)
    if dtype != torch.bfloat16:
        torch.testing.assert_close(theirs(ids).logits, ours(ids).logits)
    theirs.save_pretrained(tmp_path / "theirs")
    assert_same(GPT2LMHeadModel.from_pretrained(tmp_path / "theirs"), ours)
    theirs.save_pretrained(tmp_path / "shards", max_shard_size="5KB")
    assert (tmp_path / "shards" / "model.safetensors.index.json").exists()
    assert_same(GPT2LMHeadModel.from_pretrained(tmp_path / "shards"), ours)
    theirs.transformer.save_pretrained(tmp_path / "body")
    assert_same(GPT2Model.from_pretrained(tmp_path / "body"), ours.transformer)
