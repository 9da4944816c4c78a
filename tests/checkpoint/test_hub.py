"""Checkpoints of the Hub: names, revisions, the right file of several, tokens; against a local server."""

import json
import logging
import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dia.checkpoint import load_checkpoint, read_source
from dia.checkpoint.hub import Repository, Selection
from dia.checkpoint.names import INDEX, WEIGHTS, choose_weights
from dia.config.hub import HubPath, parse_hub_path
from dia.dialogue import Vocabulary
from dia.errors import MissingFileError, UnavailableError, UserError
from dia.model import Dia
from dia.network import DiaNetwork
from tests.checkpoint.test_layouts import nari_folder
from tests.conftest import TINY

ROOT = Path(__file__).parents[2]
TOKEN = "hf_" + "S3cret" * 6
COMMITS = {"main": "a" * 40, "v1": "b" * 40}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("nari-labs/Dia-1.6B-0626", HubPath("nari-labs/Dia-1.6B-0626")),
        ("hf://owner/name@v1.0", HubPath("owner/name", "v1.0")),
        ("owner/name@refs/pr/3", HubPath("owner/name", "refs/pr/3")),
        ("owner/name/model.safetensors", HubPath("owner/name", None, "model.safetensors")),
        ("owner/name@main/sub/a.pth", HubPath("owner/name", "main", "sub/a.pth")),
        ("owner/name/sub", None),
        ("owner", None),
        ("/owner/name", None),
        ("./owner", None),
        ("../owner/name", None),
        ("owner/name/../../a.pth", None),
        ("owner/name@", None),
    ],
)
def test_names_of_the_hub_are_parsed(text, wanted):
    assert parse_hub_path(text) == wanted


@given(st.text(max_size=30))
def test_no_text_fails_to_be_parsed(text):
    parsed = parse_hub_path(text)
    assert parsed is None or parsed.repository in text


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        ([INDEX, WEIGHTS, "model-00001-of-00002.safetensors", "dia.pth"], INDEX),
        ([WEIGHTS, "dia-v0_1.pth", "adapter_model.safetensors"], WEIGHTS),
        (["dia-v0_1.pth", "dia-v0_1.safetensors", "config.json"], "dia-v0_1.safetensors"),
        (["adapter_model.safetensors", "optimizer.pt", "dia.pth"], "dia.pth"),
        (["sub/a.pth", "README.md"], None),
        ([], None),
    ],
)
def test_the_right_weights_of_several_are_chosen(names, wanted):
    assert choose_weights(names, "any") == wanted


def test_several_checkpoints_are_listed_with_a_name_that_opens_one(tiny, tmp_path):
    folder = nari_folder(tiny, tmp_path / "model", False, file="dia.safetensors")
    half = DiaNetwork(TINY).eval()
    nari_folder(half, tmp_path / "half", None, file="dia_bf16.safetensors")
    (tmp_path / "half" / "dia_bf16.safetensors").rename(folder / "dia_bf16.safetensors")
    with pytest.raises(UserError, match=r"dia\.safetensors, dia_bf16\.safetensors") as caught:
        read_source(folder)
    assert f"{folder}/dia.safetensors" in str(caught.value) and "file=dia.safetensors" in str(caught.value)
    for name, network in (("dia.safetensors", tiny), ("dia_bf16.safetensors", half)):
        opened = Dia.from_pretrained(str(folder), load_dac=False, file=name, device="cpu")
        assert torch.equal(opened.network.logits_dense.weight, network.logits_dense.weight)
        assert read_source(folder / name).located.weights == [folder / name]
    for file in ("../half/x.safetensors", "/etc/x.pth", "config.json"):
        with pytest.raises(UserError, match="must name a weights file inside"):
            read_source(folder, selection=Selection(file))
    with pytest.raises(MissingFileError, match=r"no file other\.pth"):
        read_source(folder, selection=Selection("other.pth"))


class Hub(BaseHTTPRequestHandler):
    """The calls of the Hub that a download makes: a private repository with two revisions."""

    folder: Path
    requested: list[tuple[str, str]]

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def log_message(self, *_):
        pass

    def answer(self, body):
        path = self.path.partition("?")[0]
        self.requested.append((path, self.headers.get("Authorization", "")))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}" or "/someone/private" not in path:
            return self.send(
                404, b'{"error": "Repository not found"}', {"X-Error-Code": "RepoNotFound"}, body
            )
        parts = path.strip("/").split("/")
        if parts[0] == "api":
            revision = COMMITS.get(parts[5], parts[5])
            if revision not in COMMITS.values():
                return self.send(404, b"{}", {"X-Error-Code": "RevisionNotFound"}, body)
            files = sorted((self.folder / revision).iterdir())
            if parts[4] == "revision":
                siblings = [{"rfilename": file.name} for file in files]
                answer = {"id": "someone/private", "sha": revision, "siblings": siblings}
            else:
                answer = [
                    {"type": "file", "oid": f"{number:040x}", "size": file.stat().st_size, "path": file.name}
                    for number, file in enumerate(files)
                ]
            return self.send(200, json.dumps(answer).encode(), {"Content-Type": "application/json"}, body)
        revision = COMMITS.get(parts[3], parts[3])
        file = self.folder / revision / parts[4]
        if not file.is_file():
            return self.send(404, b"", {"X-Error-Code": "EntryNotFound"}, body)
        headers = {"ETag": f'"{revision[0]}{parts[4]}"', "X-Repo-Commit": revision}
        return self.send(200, file.read_bytes(), headers, body)

    def send(self, status, content, headers, body):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)


@pytest.fixture
def server(tmp_path):
    """A server of the Hub's calls: two weights files on `main`, one on `v1`."""
    torch.manual_seed(0)
    (tmp_path / "hub").mkdir()
    for place, (revision, files) in enumerate({"main": ["a.pth", "b.safetensors"], "v1": ["a.pth"]}.items()):
        folder = tmp_path / "hub" / COMMITS[revision]
        for number, file in enumerate(files):
            network = DiaNetwork(TINY).eval()
            network.decoder.norm.weight.data[:] = 10 * place + number
            made = nari_folder(network, tmp_path / f"{revision}{number}", False, file=file)
            if number:
                (made / file).rename(folder / file)
            else:
                made.rename(folder)
    handler = type("Handler", (Hub,), {"folder": tmp_path / "hub", "requested": []})
    running = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_address[1]}", handler.requested
    running.shutdown()
    running.server_close()


OPEN = """
import logging, sys, traceback
logging.basicConfig(level=logging.DEBUG)
from dia.checkpoint.hub import Selection
from dia.model import Dia

TOKEN = sys.stdin.read()
for name, arguments in CASES:
    try:
        dia = Dia.from_pretrained(name, load_dac=False, device="cpu", **arguments)
        print(name, arguments, dia.network.decoder.norm.weight[0].item())
    except Exception:
        print(traceback.format_exc().splitlines()[-1])
print(repr(Selection(token=TOKEN)))
"""


def test_a_private_repository_opens_with_a_token_that_reaches_no_file_and_no_log(server, tmp_path):
    """In a process of its own, as the Hub's client reads its address when it is imported."""
    address, requested = server
    cases = """[
        ("someone/private", {"token": "hf_wrong"}),
        ("someone/private", {"token": TOKEN}),
        ("someone/private", {"token": TOKEN, "file": "a.pth"}),
        ("someone/private/b.safetensors", {"token": TOKEN}),
        ("someone/private", {"token": TOKEN, "revision": "v1"}),
        ("someone/private@v1/a.pth", {"token": TOKEN}),
        ("someone/private", {"token": TOKEN, "file": "c.pth"}),
        ("someone/private", {"token": TOKEN, "revision": "v9"}),
    ]"""
    environment = os.environ | {
        "HF_ENDPOINT": address,
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PYTHONPATH": str(ROOT),
    }
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "HF_HUB_CACHE"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-c", OPEN.replace("CASES", cases)],
        input=TOKEN,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        timeout=300,
    )
    lines = done.stdout.splitlines()
    said = [line.replace(TOKEN, "TOKEN") for line in lines]
    assert done.returncode == 0, done.stderr[-3_000:]
    assert "several checkpoints: a.pth, b.safetensors" in said[1]
    assert said[2].endswith(" 0.0") and said[3].endswith(" 1.0"), said
    assert said[4].endswith(" 10.0") and said[5].endswith(" 10.0")
    assert "no file c.pth" in said[6] and "no such revision" in said[7]
    assert "private or gated" in said[0] and "token" in said[0]
    assert any(authorization == f"Bearer {TOKEN}" for _, authorization in requested)
    printed_by_the_test = [line for line in lines if line.startswith("someone/")]
    shown = done.stderr + "\n".join(line for line in lines if line not in printed_by_the_test)
    assert TOKEN not in shown
    assert not [
        path
        for path in (tmp_path / "home").rglob("*")
        if path.is_file() and TOKEN.encode() in path.read_bytes()
    ]
    downloads = {path.rpartition("/")[2] for path, _ in requested if "/resolve/" in path}
    assert downloads <= {"config.json", "generation_config.json", INDEX, "a.pth", "b.safetensors", "c.pth"}


def test_a_repository_without_a_connection_opens_from_the_cache(tiny, tmp_path, monkeypatch):
    import huggingface_hub.constants as constants

    from tests.end_to_end.test_programs import lay_in_cache

    folder, vocabulary = (
        nari_folder(tiny, tmp_path / "old", False, file="dia.pth"),
        Vocabulary(frozenset({"rain"})),
    )
    vocabulary.write(folder / "vocabulary.txt")
    lay_in_cache(tmp_path / "hub", "someone/old", folder)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    for name in ("someone/old", "someone/old/dia.pth", "hf://someone/old@main"):
        opened = load_checkpoint(name)
        assert torch.equal(opened.network.logits_dense.weight, tiny.logits_dense.weight)
        assert opened.vocabulary == vocabulary
    with pytest.raises(UnavailableError, match=r"no file other\.pth"):
        load_checkpoint("someone/old/other.pth")
    with pytest.raises(UnavailableError, match="cannot be downloaded"):
        load_checkpoint("someone/old@v2")


def test_a_token_is_not_part_of_what_is_printed(caplog):
    with caplog.at_level(logging.DEBUG):
        assert TOKEN not in repr(Selection(token=TOKEN))
        assert TOKEN not in f"{Repository(HubPath('a/b'), TOKEN)!r} {Repository(HubPath('a/b'), TOKEN)}"
