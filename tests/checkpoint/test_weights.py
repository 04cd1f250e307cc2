"""What is saved comes back; what is damaged, foreign or of another model is refused in one sentence."""

import io
import json
import os
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file

from minimodels import nn
from minimodels.checkpoint import load_model, load_tensors, save_model, weights
from minimodels.errors import InputError


class Tied(nn.Module):
    """Two layers that share one weight, a buffer, an empty tensor and a scalar."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(3, 3)
        self.decoder = nn.Linear(3, 3)
        self.decoder.weight = self.encoder.weight
        self.register_buffer("steps", torch.tensor(7))
        self.register_buffer("nothing", torch.zeros(0, 2))
        self.coarse = nn.Parameter(torch.randn(2, 2, dtype=torch.bfloat16))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    save_model(tmp_path / "model.safetensors", nn.Linear(3, 2), {"data": "digits"})
    return tmp_path / "model.safetensors"


def test_round_trip_gives_the_same_tensors_and_metadata(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, other = Tied(), Tied()
    save_model(tmp_path / "m", model, {"epochs": 3})
    about = load_model(tmp_path / "m", other)
    for name, tensor in model.state_dict().items():
        assert tensor.dtype == other.state_dict()[name].dtype
        assert torch.equal(tensor, other.state_dict()[name]), name
    assert other.decoder.weight is other.encoder.weight
    assert about["epochs"] == 3
    assert about["model"] == "Tied"


def test_a_tied_weight_is_written_once(tmp_path: Path) -> None:
    save_model(tmp_path / "m", Tied())
    names = set(load_tensors(tmp_path / "m")[0])
    assert "encoder.weight" in names
    assert "decoder.weight" not in names


def test_the_same_weights_give_the_same_bytes(tmp_path: Path) -> None:
    model = Tied()
    for name in "abc":
        save_model(tmp_path / name, model, {"z": 1, "a": [2], "m": None})
    assert len({(tmp_path / name).read_bytes() for name in "abc"}) == 1


def test_files_of_others_are_read_and_ours_can_be_read_by_others(tmp_path: Path, saved: Path) -> None:
    theirs, ours = nn.Linear(3, 2), nn.Linear(3, 2)
    save_file(theirs.state_dict(), tmp_path / "theirs", {"format": "pt"})
    assert load_model(tmp_path / "theirs", ours) == {}
    assert torch.equal(ours.weight, theirs.weight)
    with safe_open(saved, framework="np") as file:
        assert set(file.keys()) == {"weight", "bias"}


def test_a_model_that_does_not_fit_is_named_in_full_and_left_alone(saved: Path) -> None:
    class Other(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(5, 3))
            self.scale = nn.Parameter(torch.zeros(4))

    other = Other()
    with pytest.raises(InputError) as caught:
        load_model(saved, other)
    message = str(caught.value)
    for words in (str(saved), "Linear", "Other", "scale [4]", "bias [2]", "weight [2, 3] in the file but [5, 3]"):
        assert words in message, words
    assert not other.weight.any()


def test_a_long_list_of_mismatches_is_cut(saved: Path) -> None:
    with pytest.raises(InputError, match="and 32 more"):
        load_model(saved, nn.Sequential(*(nn.Linear(1, 1) for _ in range(20))))


def test_a_newer_format_asks_for_an_upgrade(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "FORMAT", 2)
    save_model(saved, nn.Linear(3, 2))
    monkeypatch.undo()
    with pytest.raises(InputError, match="newer format; upgrade minimodels"):
        load_model(saved, nn.Linear(3, 2))


@pytest.mark.parametrize("header", ["[]", "{}", "1", '{"format": "x", "crc32": 1}', "[" * 100_000, '{"format": null}'])
def test_a_strange_header_is_refused(tmp_path: Path, header: str) -> None:
    save_file({"weight": torch.zeros(2, 3)}, tmp_path / "m", {weights.HEADER: header})
    with pytest.raises(InputError, match="header is damaged"):
        load_tensors(tmp_path / "m")


def test_a_pickle_is_not_opened(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(tmp_path / "exploded"),)

    buffer = io.BytesIO()
    torch.save({"weight": Bomb()}, buffer)
    (tmp_path / "m").write_bytes(buffer.getvalue())
    with pytest.raises(InputError, match="not a whole safetensors file"):
        load_model(tmp_path / "m", nn.Linear(3, 2))
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("name", ["nothing-here", "."])
def test_no_such_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="there is no such file"):
        load_tensors(tmp_path / name)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("good") / "model.safetensors"
    torch.manual_seed(0)
    save_model(path, Tied(), {"data": "digits"})
    return path.read_bytes()


def test_every_flipped_bit_is_noticed_or_harmless(tmp_path: Path, good: bytes) -> None:
    """No byte of the file can change and give another number."""
    torch.manual_seed(0)
    expected, noticed = Tied().state_dict(), 0
    for place in range(len(good)):
        (tmp_path / "m").write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        model = Tied()
        try:
            load_model(tmp_path / "m", model)
        except InputError:
            noticed += 1
        else:
            assert all(torch.equal(expected[name], tensor) for name, tensor in model.state_dict().items()), place
    assert noticed > 0.9 * len(good)


@given(data=st.data())
def test_any_damage_is_noticed(tmp_path_factory: pytest.TempPathFactory, good: bytes, data: st.DataObject) -> None:
    """Bytes changed, cut off, inserted or put behind: an InputError that names the file, never a wrong tensor."""
    kind = data.draw(st.sampled_from(["change", "cut", "insert", "append"]))
    place = data.draw(st.integers(0, len(good) - 1))
    noise = data.draw(st.binary(min_size=1, max_size=8))
    match kind:
        case "change":
            bad = good[:place] + noise + good[place + len(noise) :]
        case "cut":
            bad = good[:place]
        case "insert":
            bad = good[:place] + noise + good[place:]
        case _:
            bad = good + noise
    path = tmp_path_factory.mktemp("bad") / "model.safetensors"
    path.write_bytes(bad)
    model = Tied()
    try:
        load_model(path, model)
    except InputError as error:
        message = str(error)
    else:  # nothing of ours was hit: the bytes are the same, or only the name of our metadata is another
        torch.manual_seed(0)
        assert all(torch.equal(*pair) for pair in zip(Tied().parameters(), model.parameters(), strict=True))
        return
    assert str(path) in message


@given(noise=st.binary(max_size=200), length=st.integers(0, 2**64 - 1))
def test_noise_is_refused(tmp_path_factory: pytest.TempPathFactory, noise: bytes, length: int) -> None:
    path = tmp_path_factory.mktemp("noise") / "model.safetensors"
    for content in (noise, struct.pack("<Q", length) + noise):
        path.write_bytes(content)
        with pytest.raises(InputError):
            load_model(path, nn.Linear(3, 2))


@pytest.mark.parametrize("dtype", ["F6_E2M3", "XYZ"])
def test_a_tensor_type_that_torch_lacks_is_refused(tmp_path: Path, dtype: str) -> None:
    head = json.dumps({"weight": {"dtype": dtype, "shape": [8], "data_offsets": [0, 6]}}).encode()
    (tmp_path / "m").write_bytes(struct.pack("<Q", len(head)) + head + bytes(6))
    with pytest.raises(InputError, match=f"not a whole safetensors file .*{dtype}"):
        load_tensors(tmp_path / "m")


@given(
    metadata=st.dictionaries(
        st.integers() | st.text() | st.booleans(), st.integers() | st.floats(allow_nan=False) | st.tuples(st.text())
    )
)
def test_metadata_come_back_as_json_has_them(
    tmp_path_factory: pytest.TempPathFactory, metadata: dict[Any, Any]
) -> None:
    path = tmp_path_factory.mktemp("metadata") / "m"
    save_model(path, nn.Linear(1, 1), metadata)
    about = load_model(path, nn.Linear(1, 1))
    assert about.items() >= json.loads(json.dumps(metadata)).items()


@pytest.mark.parametrize("name", ["format", "minimodels", "model", "crc32"])
def test_metadata_never_take_a_name_of_ours(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=f'metadata "{name}": .* another name'):
        save_model(tmp_path / "m", nn.Linear(1, 1), {"epochs": 1, name: "mine"})
    assert not (tmp_path / "m").exists()


def test_tensors_that_share_memory_are_all_saved(tmp_path: Path) -> None:
    class Window(nn.Module):
        """A buffer that is a part of a parameter."""

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(4, 3))
            self.register_buffer("first", self.weight.detach()[:2])
            self.register_buffer("turned", self.weight.detach().t())

    torch.manual_seed(0)
    model, other = Window(), Window()
    save_model(tmp_path / "m", model)
    load_model(tmp_path / "m", other)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name
    assert torch.equal(other.first, other.weight[:2])


def test_a_single_number_may_have_any_stride(tmp_path: Path) -> None:
    model, other = nn.ParameterDict({"scale": torch.ones(4, 2)[:1, 1]}), nn.ParameterDict({"scale": torch.zeros(1)})
    save_model(tmp_path / "m", model)
    load_model(tmp_path / "m", other)
    assert torch.equal(other["scale"], torch.ones(1))


def test_state_that_is_no_tensor_is_refused_by_name(tmp_path: Path, saved: Path) -> None:
    class Counting(nn.Linear):
        def get_extra_state(self) -> dict[str, int]:
            return {"counter": 3}

    model = nn.Sequential(Counting(3, 2))
    with pytest.raises(InputError, match=r"0\._extra_state is a dict, not a tensor"):
        save_model(tmp_path / "m", model)
    assert not (tmp_path / "m").exists()
    with pytest.raises(InputError, match=r"0\._extra_state is a dict, not a tensor"):
        load_model(saved, model)


def test_a_compiled_model_has_the_names_of_the_plain_one(tmp_path: Path) -> None:
    torch.manual_seed(0)
    plain, other = nn.Linear(3, 2), nn.Linear(3, 2)
    save_model(tmp_path / "compiled", torch.compile(plain, backend="eager"))
    assert set(load_tensors(tmp_path / "compiled")[0]) == {"weight", "bias"}
    about = load_model(tmp_path / "compiled", torch.compile(other, backend="eager"))
    assert about["model"] == "Linear"
    assert torch.equal(other.weight, plain.weight)


def test_a_write_that_fails_leaves_the_old_file_whole(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = saved.read_bytes()

    def full(tensors: object, path: Path, metadata: object) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(weights, "save_file", full)
    with pytest.raises(OSError, match="No space left"):
        save_model(saved, nn.Linear(3, 2))
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_a_file_that_outgrows_its_limit_is_reported_and_leaves_the_old_one(saved: Path) -> None:
    resource = pytest.importorskip("resource", reason="limits on file sizes are POSIX's")
    before = saved.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(InputError, match=r"cannot be written .*; free disk space"):
            save_model(saved, nn.Linear(300, 200))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]
