"""Files of published models, against a hub of our own on this machine: what comes, what is said when it does not."""

import errno
import hashlib
import os
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from huggingface_hub import constants

from minimodels import hub
from minimodels.errors import InputError
from minimodels.hub import find_file

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """What the server answers, and what it was asked.

    A file is called by its content's checksum, as on the hub: git's SHA-1 for JSON, SHA-256 for the rest.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.refusals: dict[str, tuple[int, str]] = {}  # repository → status, code
        self.sent: dict[str, bytes] = {}  # what really comes, where it is not the file
        self.asked: list[str] = []

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        repository, _, rest = handler.path[1:].partition("/resolve/")
        revision, _, filename = rest.partition("/")
        self.asked.append(f"{handler.command} {repository} {filename}")
        status, code = self.refusals.get(repository, (200, ""))
        content = self.files.get(f"{repository}/{filename}", b"")
        if status == 200 and not any(name.startswith(repository + "/") for name in self.files):
            status, code = 401, "RepoNotFound"
        elif status == 200 and revision not in ("main", COMMIT):
            status, code = 404, "RevisionNotFound"
        elif status == 200 and f"{repository}/{filename}" not in self.files:
            status, code = 404, "EntryNotFound"
        handler.send_response(status)
        handler.send_header("X-Repo-Commit", COMMIT)
        if status != 200:
            handler.send_header("X-Error-Code", code)
            content = b""
        handler.send_header("ETag", f'"{checksum(filename, content)}"')
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        if handler.command == "GET":
            handler.wfile.write(self.sent.get(filename, content))


def checksum(filename: str, content: bytes) -> str:
    if filename.endswith(".json"):
        return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A hub that huggingface_hub asks instead of the real one, and an empty cache."""
    pretended = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            pretended.answer(self)

        def do_HEAD(self) -> None:
            pretended.answer(self)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True).start()
        use_hub(monkeypatch, f"http://127.0.0.1:{listening.server_port}")
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        yield pretended
        listening.shutdown()


NOBODY = "http://127.0.0.1:9"
"""The port of the service that discards what it gets; nobody has it."""


def use_hub(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # between one attempt and the next
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def refused(*args: object, **options: object) -> str:
    """The one sentence with which a call is refused."""
    with pytest.raises(InputError) as caught:
        find_file(*args, **options)  # type: ignore[arg-type]
    sentence = str(caught.value)
    assert sentence[-1] in ".?"
    assert "\n" not in sentence
    return sentence


def test_a_folder_gives_the_first_name_that_it_has(tmp_path: Path) -> None:
    for name in ("b", "c"):
        (tmp_path / name).touch()
    assert find_file(tmp_path, "a", "b", "c") == tmp_path / "b"
    assert find_file(str(tmp_path), "c") == tmp_path / "c"
    assert f"{tmp_path}: has no x or y; give the folder" in refused(tmp_path, "x", "y")


@pytest.mark.parametrize("name", ["./nowhere", "/no/where", "a/b/c", "~/models", "", "a file", "...", "https://x.y/z"])
def test_a_path_that_is_not_there_is_not_looked_for_on_the_hub(server: Hub, name: str) -> None:
    assert ("no such folder" if name else "has no config.json") in refused(name, "config.json")
    assert not server.asked


def test_a_file_is_downloaded_once(server: Hub) -> None:
    server.files = {"gpt2/config.json": b"{}", "gpt2/pytorch_model.bin": b"weights" * 1000}
    for _ in range(2):
        assert find_file("gpt2", "model.safetensors", "pytorch_model.bin").read_bytes() == b"weights" * 1000
        assert find_file("gpt2", "config.json").read_bytes() == b"{}"
    assert server.asked.count("GET gpt2 pytorch_model.bin") == server.asked.count("GET gpt2 config.json") == 1


def test_a_folder_for_the_cache(server: Hub, tmp_path: Path) -> None:
    server.files = {"someone/model/config.json": b"{}"}
    path = find_file("someone/model", "config.json", cache_dir=tmp_path / "mine", revision=COMMIT)
    assert path.is_relative_to(tmp_path / "mine")


def test_what_is_cached_needs_no_network(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    server.files = {"gpt2/pytorch_model.bin": b"weights"}
    path = find_file("gpt2", "pytorch_model.bin")
    assert find_file("gpt2", "model.safetensors", "pytorch_model.bin", local_files_only=True) == path
    use_hub(monkeypatch, NOBODY)
    assert find_file("gpt2", "pytorch_model.bin") == path
    assert find_file("gpt2", "model.safetensors", "pytorch_model.bin") == path
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert find_file("gpt2", "model.safetensors", "pytorch_model.bin") == path


@pytest.mark.parametrize("cached", ["gpt2-medium", "openai-community/gpt2-medium"])
@pytest.mark.parametrize("asked", ["gpt2-medium", "openai-community/gpt2-medium"])
def test_a_model_is_found_under_its_old_and_its_new_name(server: Hub, cached: str, asked: str) -> None:
    server.files = {f"{cached}/config.json": b"{}"}
    path = find_file(cached, "config.json")
    assert find_file(asked, "config.json") == find_file(asked, "config.json", local_files_only=True) == path


def test_nothing_cached_and_no_network(server: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use_hub(monkeypatch, NOBODY)
    sentence = refused("gpt2", "model.safetensors", "pytorch_model.bin")
    assert "gpt2: model.safetensors or pytorch_model.bin is not in the cache" in sentence
    assert str(tmp_path / "cache") in sentence
    assert "http://127.0.0.1:9 does not answer (" in sentence
    assert "download the model on a machine with network (hf download gpt2) and give its folder." in sentence
    assert "local_files_only is set" in refused("gpt2", "config.json", local_files_only=True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE is set" in refused("gpt2", "config.json")


def test_an_unknown_name_brings_known_ones_to_mind(server: Hub) -> None:
    server.files = {"gpt2/config.json": b"{}"}
    sentence = refused("gpt2-meduim", "config.json")
    assert "gpt2-meduim: there is no such model on the hub, or it is private" in sentence
    assert "did you mean gpt2-medium" in sentence
    assert "did you mean" not in refused("someone/nothing", "config.json")
    assert "no such model" in refused("a--b", "config.json")  # a name that huggingface_hub does not even ask for


def test_a_model_without_the_file(server: Hub) -> None:
    server.files = {"gpt2/config.json": b"{}"}
    assert "gpt2: has no a.json or b.json on the hub" in refused("gpt2", "a.json", "b.json")


def test_a_revision_that_is_none(server: Hub) -> None:
    server.files = {"gpt2/config.json": b"{}"}
    assert "gpt2: has no revision 'v9' on the hub" in refused("gpt2", "config.json", revision="v9")


def test_conditions_to_accept(server: Hub) -> None:
    server.files = {"meta/llama/config.json": b"{}"}
    server.refusals = {"meta/llama": (403, "GatedRepo")}
    sentence = refused("meta/llama", "config.json")
    assert "accept their conditions; do so at http://127.0.0.1:" in sentence
    assert "/meta/llama, then log in (hf auth login) or set HF_TOKEN." in sentence


def test_a_hub_that_is_down(server: Hub) -> None:
    server.refusals = {"gpt2": (503, "")}
    sentence = refused("gpt2", "a.json", "b.json")
    assert "does not answer (" in sentence
    assert "503" in sentence
    assert "HEAD gpt2 b.json" not in server.asked, "one vain attempt, with its many repetitions, is enough"


def test_a_download_that_breaks_off(server: Hub) -> None:
    server.files = {"gpt2/model.safetensors": b"weights" * 1000}
    server.sent = {"model.safetensors": b"weights" * 300}
    sentence = refused("gpt2", "model.safetensors")
    assert "gpt2: model.safetensors could not be downloaded (" in sentence
    assert "run it again" in sentence
    server.sent = {}
    assert find_file("gpt2", "model.safetensors").read_bytes() == b"weights" * 1000


@pytest.mark.parametrize("filename", ["config.json", "model.safetensors"])
def test_what_is_not_as_published_is_refused_until_it_is_deleted(server: Hub, filename: str) -> None:
    server.files = {f"gpt2/{filename}": b"weights"}
    server.sent = {filename: b"wEights"}
    sentence = refused("gpt2", filename)
    assert "its checksum is wrong" in sentence
    (blob,) = re.findall(r"delete (\S+) and run", sentence)
    assert refused("gpt2", filename, local_files_only=True) == sentence
    Path(blob).unlink()
    server.sent = {}
    assert find_file("gpt2", filename).read_bytes() == b"weights"


def test_damage_in_the_cache_is_noticed(server: Hub) -> None:
    server.files = {"gpt2/model.safetensors": b"weights"}
    path = find_file("gpt2", "model.safetensors")
    path.resolve().write_bytes(b"weight")
    assert "its checksum is wrong" in refused("gpt2", "model.safetensors")


def test_a_name_that_is_no_checksum_is_not_held_against_the_file(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.checksum", lambda *args: "W-7")
    server.files = {"gpt2/config.json": b"{}"}
    assert find_file("gpt2", "config.json").read_bytes() == b"{}"


def test_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(hub, "hf_hub_download", full)
    sentence = refused("gpt2", "model.safetensors")
    assert "gpt2: model.safetensors does not fit on the disk ([Errno 28] No space left on device)" in sentence
    assert "HF_HOME" in sentence
