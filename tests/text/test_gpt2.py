"""GPT-2's tokenizer gives the numbers of tiktoken's gpt2 and of transformers, from whichever files it is made."""

import copy
import hashlib
import json
import shutil
from pathlib import Path

import pytest
import tiktoken
from hypothesis import given

from minimodels.errors import InputError
from minimodels.text import GPT2Tokenizer
from minimodels.text import gpt2 as module
from minimodels.text.bpe.tokenizer import END_OF_TEXT
from tests.text.strategies import assigned_texts, texts

RANKS = {bytes([byte]): byte for byte in range(256)}


def folder_of(tmp_path: Path, published: Path, **files: str) -> Path:
    """A folder with some of the published files under other names."""
    for new, old in files.items():
        shutil.copyfile(published / old, tmp_path / new.replace("_", "."))
    return tmp_path


@pytest.fixture(scope="session")
def reference(published: Path, tmp_path_factory: pytest.TempPathFactory) -> tiktoken.Encoding:
    """tiktoken's own "gpt2", which finds the published files where its downloads would be."""
    cache = tmp_path_factory.mktemp("cache")
    for name in ("vocab.bpe", "encoder.json"):
        address = f"https://openaipublic.blob.core.windows.net/gpt-2/encodings/main/{name}"
        shutil.copyfile(published / name, cache / hashlib.sha1(address.encode()).hexdigest())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIKTOKEN_CACHE_DIR", str(cache))
        return tiktoken.get_encoding("gpt2")


@pytest.fixture(scope="session")
def peer(gpt2: GPT2Tokenizer, tmp_path_factory: pytest.TempPathFactory):
    """transformers' tokenizer, from the files that ours has written."""
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("saved")
    gpt2.save_pretrained(folder)
    return transformers.GPT2Tokenizer.from_pretrained(folder)


@given(text=texts)
def test_the_numbers_are_tiktokens(gpt2: GPT2Tokenizer, reference: tiktoken.Encoding, text: str) -> None:
    assert gpt2.encode(text) == reference.encode_ordinary(text)
    allowed = gpt2.encode(text + END_OF_TEXT, allowed_special="all")
    assert allowed == reference.encode(text + END_OF_TEXT, allowed_special="all")
    assert gpt2.decode(allowed) == text + END_OF_TEXT


@given(text=assigned_texts)
def test_the_numbers_are_those_of_transformers(gpt2: GPT2Tokenizer, peer, text: str) -> None:
    text = text.replace("\x00", "")
    assert gpt2.encode(text, allowed_special="all") == peer.encode(text)
    assert gpt2.decode(gpt2.encode(text)) == peer.decode(peer.encode(text))


def test_whole_texts_have_the_numbers_of_tiktoken(gpt2, reference, chinese: str, shakespeare: str) -> None:
    for text in (chinese, shakespeare):
        ids = gpt2.encode_array(text)
        assert ids.tolist() == reference.encode_ordinary(text)
        assert gpt2.decode(ids) == text


def test_whole_texts_have_the_numbers_of_transformers(gpt2, peer, chinese: str, shakespeare: str) -> None:
    for text in (chinese, shakespeare):
        assert gpt2.encode(text) == peer.encode(text, verbose=False)


def test_batches_are_those_of_transformers(gpt2: GPT2Tokenizer, peer) -> None:
    texts = ["To be", "or not to be, that is the question", "", "春眠"]
    peer = copy.deepcopy(peer)
    peer.pad_token = peer.eos_token
    for side in ("left", "right"):
        peer.padding_side = side
        ours = GPT2Tokenizer(gpt2.ranks, padding_side=side)
        for flags in (
            {"padding": True},
            {"padding": "max_length", "max_length": 12},
            {"truncation": True, "max_length": 3},
        ):
            theirs = peer(texts, **flags)
            assert ours(texts, **flags) == dict(theirs)


def test_words_of_the_vocabulary_are_those_of_transformers(gpt2: GPT2Tokenizer, peer) -> None:
    assert gpt2.get_vocab() == peer.get_vocab()
    ids = [0, 220, 50256, 31373]
    assert gpt2.convert_ids_to_tokens(ids) == peer.convert_ids_to_tokens(ids)
    assert gpt2.convert_tokens_to_ids("Ġworld") == peer.convert_tokens_to_ids("Ġworld")
    assert (len(gpt2), gpt2.vocab_size) == (len(peer), peer.vocab_size)
    assert (gpt2.eos_token_id, gpt2.bos_token_id) == (peer.eos_token_id, peer.bos_token_id)


def test_a_folder_that_transformers_saved(gpt2: GPT2Tokenizer, peer, tmp_path: Path) -> None:
    peer = copy.deepcopy(peer)
    peer.add_special_tokens({"pad_token": "[PAD]"})
    peer.save_pretrained(tmp_path)
    found = GPT2Tokenizer.from_pretrained(tmp_path)
    assert found.ranks == gpt2.ranks
    assert found.special_tokens == {END_OF_TEXT: 50256, "[PAD]": 50257}
    assert (found.pad_token_id, len(found)) == (50257, len(peer))


@pytest.mark.parametrize(
    "files",
    [
        {"encoder_json": "encoder.json", "vocab_bpe": "vocab.bpe"},
        {"vocab_json": "encoder.json", "merges_txt": "vocab.bpe"},
        {"gpt2_tiktoken": "r50k_base.tiktoken"},
    ],
)
def test_all_published_files_hold_one_vocabulary(files, gpt2: GPT2Tokenizer, published: Path, tmp_path: Path) -> None:
    found = GPT2Tokenizer.from_pretrained(folder_of(tmp_path, published, **files))
    assert found.ranks == gpt2.ranks
    assert found.special_tokens == gpt2.special_tokens == {END_OF_TEXT: 50256}
    assert (found.eos_token_id, found.bos_token_id, found.pad_token_id) == (50256, 50256, None)
    assert (found.vocab_size, len(found), found.model_max_length) == (50257, 50257, 1024)


def test_what_is_saved_comes_back(gpt2: GPT2Tokenizer, published: Path, tmp_path: Path) -> None:
    names = {END_OF_TEXT: 50256, "<|user|>": 50257}
    chat = GPT2Tokenizer(gpt2.ranks, names, pad_token="<|user|>", padding_side="right", model_max_length=99)
    chat.save_pretrained(tmp_path / "new")
    found = GPT2Tokenizer.from_pretrained(tmp_path / "new")
    assert (found.ranks, found.special_tokens) == (chat.ranks, names)
    assert (found.pad_token, found.padding_side, found.model_max_length) == ("<|user|>", "right", 99)
    assert json.loads((tmp_path / "new" / "vocab.json").read_text(encoding="utf-8")) == found.get_vocab()
    written = (tmp_path / "new" / "merges.txt").read_text(encoding="utf-8")
    assert written == (published / "vocab.bpe").read_text(encoding="utf-8")
    assert GPT2Tokenizer.from_pretrained(tmp_path / "new", padding_side="left").padding_side == "left"


def test_what_there_is_not_does_not_come_back(tmp_path: Path) -> None:
    GPT2Tokenizer(RANKS, eos_token=None, model_max_length=None).save_pretrained(tmp_path)
    found = GPT2Tokenizer.from_pretrained(tmp_path)
    assert (found.eos_token, found.bos_token, found.model_max_length) == (None, END_OF_TEXT, None)


def refuse(*_: object, **__: object) -> Path:
    raise InputError("no network")


def test_published_names_come_from_tiktoken_when_the_hub_has_nothing(monkeypatch, gpt2, reference) -> None:
    monkeypatch.setattr(module, "find_file", refuse)
    monkeypatch.setattr(module.tiktoken, "get_encoding", {"gpt2": reference}.get)
    for name in ("gpt2", "openai-community/gpt2-xl", "distilgpt2"):
        assert GPT2Tokenizer.from_pretrained(name).ranks == gpt2.ranks
    with pytest.raises(InputError, match="no network"):
        GPT2Tokenizer.from_pretrained("somebody/else")
    with pytest.raises(InputError, match="no network"):
        GPT2Tokenizer.from_pretrained("gpt2", local_files_only=True)


def test_a_download_that_fails_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise ConnectionError("no route to host\nand much more")

    monkeypatch.setattr(module.tiktoken, "get_encoding", fail)
    with pytest.raises(InputError) as caught:
        GPT2Tokenizer.download()
    assert str(caught.value) == (
        "GPT-2's vocabulary cannot be downloaded (no route to host); give a folder with vocab.json and merges.txt."
    )


def with_settings(folder: Path, settings: object) -> GPT2Tokenizer:
    """A folder whose tokenizer_config.json holds some settings, read."""
    GPT2Tokenizer(RANKS).save_pretrained(folder)
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return GPT2Tokenizer.from_pretrained(folder)


def test_settings_are_read_as_hugging_face_writes_them(tmp_path: Path) -> None:
    token = {"content": END_OF_TEXT, "lstrip": False}
    added = {"256": token, "257": {"content": "<pad>"}}
    names = {"bos_token": token, "eos_token": END_OF_TEXT, "pad_token": "<pad>"}
    sizes = {"padding_side": "right", "model_max_length": int(1e30)}
    found = with_settings(tmp_path, {"added_tokens_decoder": added, "unk_token": token, **names, **sizes})
    assert found.special_tokens == {END_OF_TEXT: 256, "<pad>": 257}
    assert (found.bos_token_id, found.eos_token_id, found.pad_token_id) == (256, 256, 257)
    assert (found.padding_side, found.model_max_length) == ("right", None)
    assert with_settings(tmp_path, {}).model_max_length == 1024


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ([], "tokenizer_config.json: is not the settings of a tokenizer; get the file again."),
        ({"added_tokens_decoder": {"x": {"content": "<pad>"}}}, "tokenizer_config.json: is not the settings"),
        ({"added_tokens_decoder": {"257": "<pad>"}}, "tokenizer_config.json: is not the settings"),
        ({"model_max_length": "long"}, "tokenizer_config.json: is not the settings"),
        ({"pad_token": "<pad>"}, "'<pad>' is not a special token of this tokenizer; it has <|endoftext|>."),
        ({"padding_side": "top"}, "padding_side='top': give 'left' or 'right'."),
    ],
)
def test_damaged_settings_are_named(tmp_path: Path, settings: object, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        with_settings(tmp_path, settings)
    assert sentence in str(caught.value)


@pytest.mark.parametrize("missing", ["vocab.json", "merges.txt"])
def test_a_missing_file_is_named(tmp_path: Path, missing: str) -> None:
    GPT2Tokenizer(RANKS).save_pretrained(tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(InputError, match=f"has no .*{missing}"):
        GPT2Tokenizer.from_pretrained(tmp_path)
    (tmp_path / "tokenizer_config.json").unlink()
    with pytest.raises(InputError, match=str(tmp_path)):
        GPT2Tokenizer.from_pretrained(tmp_path)


def test_a_failure_leaves_the_old_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    GPT2Tokenizer(RANKS).save_pretrained(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(InputError, match="cannot be made of two"):
        GPT2Tokenizer(RANKS | {b"abc": 256}, {}).save_pretrained(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_another_file_of_tiktoken(published: Path) -> None:
    """The ranks of GPT-4, cut by GPT-2's pattern: they are read as they are."""
    found = GPT2Tokenizer.from_tiktoken(published / "cl100k_base.tiktoken")
    assert found.special_tokens == {END_OF_TEXT: 100_256}
    assert found.decode(found.encode("春眠不觉晓 🙂")) == "春眠不觉晓 🙂"
