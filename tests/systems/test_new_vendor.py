"""A new vendor costs one YAML file, and one Python file for its SDK; both may lie outside of `dia`."""

import base64
import json
from textwrap import dedent

import pytest

from dia.config import compose as conf
from dia.config.compose import compose
from dia.errors import UserError
from dia.systems.clients import create_system
from dia.systems.declaration import parse_declaration
from dia.systems.http_client import fill_template
from dia.systems.record import record
from dia.systems.script_rendering import RenderedTurn
from tests.systems.conftest import read_rows
from tests.systems.vendor_server import KEY, RATE, tone

HTTP_VENDOR = """
    name: acme
    client: http
    model: acme-1
    format: wav
    seeds: best effort
    licence: "terms of service of Acme"
    voices: {S1: alice, S2: {id: 7}}
    settings:
      endpoint: /acme/speech/{model}
      key_header: X-Acme-Key
      key_prefix: ""
      body: {text: "{text}", voice: "{voice}", seed: "{seed}", note: "for {speaker}", style: "{style}"}
    tags: {laughs: "<laugh>"}
    emotions: {happy: Cheerful}
    emotion_in: style
    key: ACME_API_KEY
    price: {unit: character, dollars: 0.001, source: a test}
    base_url: http://127.0.0.1:1
    cost_header: character-cost
"""
SDK_VENDOR = """
    name: acme_sdk
    model: acme-1
    format: pcm_24000
    seeds: none
    licence: "terms of service of Acme"
    voices: {S1: alice, S2: bob}
"""
SDK_CLIENT = """
    '''A client of an imaginary SDK.'''

    import acme_sdk

    from dia.systems.protocol import RequestFailed, SystemRequest, SystemResponse


    class AcmeSystem:
        package = ""

        def __init__(self, declaration):
            self.declaration = declaration

        def build_requests(self, prompt_id, turns, take):
            voices = self.declaration.voices
            return [
                SystemRequest({"text": turn.text, "voice": voices[turn.voice]}, (index,), len(turn.text))
                for index, turn in enumerate(turns)
            ]

        def open(self):
            self.session = acme_sdk.connect()

        def send(self, request):
            try:
                audio = self.session.synthesize(**request.body)
            except acme_sdk.AcmeError as error:
                raise RequestFailed("acme", str(error), request=request.body) from error
            return SystemResponse(audio, request.body)
"""
SDK = """
    class AcmeError(Exception):
        pass


    class Session:
        def synthesize(self, text, voice):
            if text == "It is late.":
                raise AcmeError("too late")
            return b"\\0\\1" * (2400 if voice == "alice" else 1200)


    connect = Session
"""


def write(path, text):
    path.write_text(dedent(text))
    return path


def record_from_file(path, suite, out, *overrides):
    """Record with the declaration at a path, as the command line does; return the summary and its rows."""
    arguments = [f"system={path}", f"suite={suite}", f"out={out}", "takes=1", "confirm=true", *overrides]
    summary = record(conf.typed(compose("record", arguments)), lambda line: None)
    return summary, read_rows(summary.folder / "outputs.jsonl")


def test_an_http_vendor_is_one_yaml_file_outside_of_the_package(vendor, suite, tmp_path, monkeypatch):
    monkeypatch.setenv("ACME_API_KEY", KEY)
    path = write(tmp_path / "acme.yaml", HTTP_VENDOR)
    summary, rows = record_from_file(path, suite, tmp_path / "out", f"system.base_url={vendor.url}")
    assert summary.failed == {} and summary.folder.parent.name == "acme"
    bodies = {request["body"]["text"]: request["body"] for request in vendor.requests}
    assert bodies == {
        "Hello there my friend. <laugh>": {
            "text": "Hello there my friend. <laugh>", "voice": "alice", "seed": 0, "note": "for S1",
            "style": "Cheerful",
        },
        "Oh, hi! How are you?": {
            "text": "Oh, hi! How are you?", "voice": {"id": 7}, "seed": 0, "note": "for S2"
        },
        "It is late.": {"text": "It is late.", "voice": "alice", "seed": 0, "note": "for S1"},
    }  # fmt: skip
    assert {request["path"] for request in vendor.requests} == {"/acme/speech/acme-1"}
    assert {request["key"] for request in vendor.requests} == {KEY}
    assert rows[0]["sample_rate"] == RATE and rows[0]["parts"][0]["cost_units"] == 42
    assert rows[0]["dropped"] == ["(beep)"] and rows[1]["dropped"] == ["(sighs)"]
    assert (summary.folder / rows[0]["parts"][0]["raw_path"]).read_bytes() == tone()
    stored = [file for file in summary.folder.rglob("*") if file.is_file()]
    assert stored and not any(KEY.encode() in file.read_bytes() for file in stored)


def test_an_http_vendor_may_take_whole_scripts_and_return_base64(vendor, suite, tmp_path, monkeypatch):
    monkeypatch.setenv("ACME_API_KEY", KEY)
    text = HTTP_VENDOR.replace(
        'body: {text: "{text}", voice: "{voice}", seed: "{seed}", note: "for {speaker}", style: "{style}"}',
        'request_per: script\n      body: {lines: "{turns}"}\n      turn: {say: "{text}", as: "{voice}"}\n'
        "      audio_field: clips.0.audio",
    )
    path = write(tmp_path / "acme.yaml", text)
    vendor.audio = json.dumps({"clips": [{"audio": base64.b64encode(tone()).decode()}]}).encode()
    vendor.failures = [200, 400]
    summary, rows = record_from_file(
        path, suite, tmp_path / "out", f"system.base_url={vendor.url}", "system.concurrency=1"
    )
    assert vendor.requests[0]["body"] == {
        "lines": [
            {"say": "Hello there my friend. <laugh>", "as": "alice"},
            {"say": "Oh, hi! How are you?", "as": {"id": 7}},
        ]
    }
    assert rows[0]["error_kind"] == "" and rows[0]["duration_s"] == pytest.approx(0.6)
    assert summary.failed == {"http_400": 1}
    vendor.audio = b'{"clips": []}'
    summary, rows = record_from_file(path, suite, tmp_path / "other", f"system.base_url={vendor.url}")
    assert summary.failed == {"not_audio": 2} and "clips.0.audio" in rows[0]["message"]


def test_a_vendor_with_an_sdk_is_one_yaml_and_one_python_file(suite, tmp_path, monkeypatch):
    (tmp_path / "sdk").mkdir()
    write(tmp_path / "sdk" / "acme_sdk.py", SDK)
    monkeypatch.syspath_prepend(tmp_path / "sdk")
    (tmp_path / "mine").mkdir()
    path = write(tmp_path / "mine" / "acme.yaml", SDK_VENDOR)
    write(tmp_path / "mine" / "acme_client.py", SDK_CLIENT)
    monkeypatch.chdir(tmp_path)
    client = "system.client=mine/acme_client.py:AcmeSystem"
    summary, rows = record_from_file(path.relative_to(tmp_path), suite, tmp_path / "out", client)
    assert summary.failed == {"acme": 1} and rows[1]["message"] == "too late"
    assert rows[0]["turn_times"] == [[0.0, 0.1], [pytest.approx(0.3), pytest.approx(0.35)]]


def test_a_declaration_cannot_name_python_code(tmp_path):
    write(tmp_path / "evil.py", "raise SystemExit('executed')\n\n\nclass Evil:\n    pass\n")
    path = write(tmp_path / "acme.yaml", SDK_VENDOR + "    client: evil.py:Evil\n")
    with pytest.raises(UserError, match=r"cannot name Python code.*system.client=evil.py:Evil"):
        compose("record", [f"system={path}"])


def test_where_a_client_file_lies_does_not_change_the_fingerprint():
    content = {"name": "x", "model": "m", "format": "wav", "seeds": "none", "licence": "none"}
    fingerprints = {
        parse_declaration({**content, "client": client}).fingerprint()
        for client in ("/a/acme.py:Acme", "/b/c/acme.py:Acme", "acme.py:Acme")
    }
    assert len(fingerprints) == 1


@pytest.mark.parametrize(
    ("client", "message"),
    [
        ("acme", "unknown client 'acme'; use one of http"),
        ("/nowhere/acme.py:Acme", "there is no client file /nowhere/acme.py"),
        ("dia.systems.no_such_module:Acme", "is not available"),
        ("dia.systems.folder:Acme", "dia.systems.folder has no class Acme"),
    ],
)
def test_a_wrong_client_is_reported(client, message):
    content = {"name": "x", "model": "m", "format": "wav", "seeds": "none", "licence": "none"}
    with pytest.raises(UserError, match=message):
        create_system(parse_declaration({**content, "client": client}))


def test_all_problems_of_an_http_declaration_are_reported_at_once():
    content = {
        "name": "x",
        "client": "http",
        "model": "m",
        "format": "wav",
        "seeds": "none",
        "licence": "none",
    }
    settings = {"colour": "red", "headers": "none", "request_per": "word"}
    with pytest.raises(UserError) as caught:
        create_system(parse_declaration({**content, "settings": settings}))
    for part in (
        "settings.colour",
        "settings.headers must be a dict",
        "base_url",
        "request_per",
        "settings.body",
    ):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"), [("none.yaml", None), ("list.yaml", "[1]"), ("bad.yaml", "a: [")]
)
def test_a_declaration_that_cannot_be_read_is_reported(name, content, tmp_path):
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=f"{name}.*(YAML file|YAML mapping)"):
        compose("record", [f"system={path}"])


def test_placeholders_keep_their_types_and_do_not_nest():
    values = {"text": "{voice} costs {money}", "voice": "v", "seed": 3, "style": ""}
    template = {
        "a": "{text}",
        "b": ["{seed}", "{style}"],
        "c": "x {text} {seed} {unknown}",
        "d": "{style}",
        "e": 1,
    }
    assert fill_template(template, values) == {
        "a": "{voice} costs {money}", "b": [3], "c": "x {voice} costs {money} 3 {unknown}", "e": 1,
    }  # fmt: skip


def test_a_template_is_filled_for_each_turn():
    content = {
        "name": "x", "client": "http", "model": "m", "format": "wav", "seeds": "none", "licence": "none",
        "base_url": "http://127.0.0.1:1", "settings": {"body": {"text": "{text}"}, "request_per": "script"},
    }  # fmt: skip
    (request,) = create_system(parse_declaration(content)).build_requests(
        "p", [RenderedTurn(1, "One."), RenderedTurn(2, "Two.")], 0
    )
    assert request.body["text"] == "[S1] One. [S2] Two." and request.turns == (0, 1)
