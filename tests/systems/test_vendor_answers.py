"""What the vendors' documents allow: events, formats without a header, headers of errors, settings."""

import base64
import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from dia.errors import UserError
from dia.systems.clients import create_system
from dia.systems.declaration import parse_declaration
from dia.systems.http_recorder import HttpRecorder, parse_retry_after
from dia.systems.protocol import RequestFailed
from dia.systems.response_audio import decode_audio
from tests.systems.conftest import load_declared, read_rows
from tests.systems.vendor_cases import EXHAUSTED, SCRIPTS, events_of, open_system, requests_of, streamed_wav
from tests.systems.vendor_documents import cut_document, hume_document
from tests.systems.vendor_sdk import sdk_bodies
from tests.systems.vendor_server import RATE, tone

SSE = {"settings": {"stream_format": "sse"}, "concurrency": 1}


def answer_with_events(vendor, **options):
    answer = events_of(tone(), **options)
    vendor.content_type, vendor.audio = answer.content_type, answer.content


@pytest.mark.parametrize("line", ["\n", "\r\n"])
def test_sound_that_arrives_as_events_is_joined_with_the_stated_cost(recording, vendor, line):
    answer_with_events(vendor, line=line)
    done, _ = recording("openai", system=SSE)
    assert done.failed == {}
    for row in read_rows(done.folder / "outputs.jsonl"):
        for part in row["parts"]:
            assert (done.folder / part["raw_path"]).read_bytes() == tone()
            assert part["cost_units"] == 115 and part["cost_from"] == "response"
            assert part["request"]["stream_format"] == "sse"


def test_a_server_that_ignores_the_setting_of_events_is_understood(recording, vendor):
    done, _ = recording("openai", system=SSE)
    assert done.failed == {} and read_rows(done.folder / "outputs.jsonl")[0]["sample_rate"] == RATE


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (events_of(tone(), done=False).content, "ended without speech.audio.done"),
        (b"", "ended without speech.audio.done"),
        (b'data: {"type": "speech.audio.delta", "audio": "*"}\n\n', "an event cannot be read"),
        (b'data: {"type": "speech.audio.delta"}\n\n', "an event cannot be read"),
        (b'data: {"type": \n\n', "an event cannot be read"),
        (b"data: \xff\xfe\n\n", "an event cannot be read"),
        (b'data: {"error": {"message": "overloaded"}}\n\n', "overloaded"),
    ],
)
def test_broken_events_are_a_broken_connection(recording, vendor, content, message):
    vendor.content_type, vendor.audio = "text/event-stream", content
    done, _ = recording("openai", attempts=2, system=SSE)
    assert done.failed == {"connection": 2} and len(vendor.requests) == 4
    assert message in read_rows(done.folder / "outputs.jsonl")[0]["message"]


def g711_ulaw(code):
    """Return the sample of a code of the mu-law (ITU-T G.711, table 2), in -1..1 of 16 bits."""
    code = ~code & 0xFF
    sign, exponent, mantissa = code & 0x80, code >> 4 & 7, code & 0xF
    magnitude = ((mantissa << 3) + 0x84 << exponent) - 0x84
    return (-magnitude if sign else magnitude) / 32768


def g711_alaw(code):
    """Return the sample of a code of the A-law (ITU-T G.711, table 1), in -1..1 of 16 bits."""
    code ^= 0x55
    sign, exponent, mantissa = code & 0x80, code >> 4 & 7, code & 0xF
    magnitude = (mantissa << 4) + 8 if exponent == 0 else (mantissa << 4) + 0x108 << exponent - 1
    return (magnitude if sign else -magnitude) / 32768


@pytest.mark.parametrize(("kind", "law"), [("ulaw", g711_ulaw), ("alaw", g711_alaw)])
def test_telephone_formats_are_decoded_as_g711_states(kind, law):
    codes = bytes([255, *range(256)])
    sound = decode_audio(codes, f"{kind}_8000")
    assert sound.sample_rate == 8000 and sound.channels == 1
    assert np.array_equal(sound.waveform, np.array([law(code) for code in codes], np.float32))


@given(st.lists(st.integers(-32768, 32767), min_size=4))
def test_raw_pcm_keeps_every_sample(samples):
    content = np.array([0, *samples], "<i2").tobytes()
    waveform = decode_audio(content, "pcm_16000").waveform
    assert np.array_equal(waveform, np.array([0, *samples], np.float32) / 32768)


def test_a_wav_file_that_was_streamed_states_no_length():
    sound = decode_audio(streamed_wav(tone()), "wav")
    assert np.array_equal(sound.waveform, decode_audio(tone(), "wav").waveform)


@pytest.mark.parametrize("kind", ["OGG", "FLAC", "MP3"])
def test_compressed_formats_of_the_vendors_are_decoded(kind):
    file = io.BytesIO()
    subtype = "OPUS" if kind == "OGG" else None
    soundfile.write(file, np.sin(np.arange(24_000) / 20) * 0.2, 24_000, format=kind, subtype=subtype)
    sound = decode_audio(file.getvalue(), "opus" if kind == "OGG" else kind.lower())
    assert abs(len(sound.waveform) / sound.sample_rate - 1) < 0.13


@pytest.mark.parametrize(
    ("audio_format", "message"),
    [("aac", "cannot be decoded"), ("pcm", "needs the sample rate"), ("ulaw_", "needs"), ("pcm_0", "needs")],
)
def test_a_format_that_cannot_be_decoded_is_refused_before_it_is_paid_for(audio_format, message):
    with pytest.raises(UserError, match=message):
        parse_declaration(load_declared("openai", format=audio_format))


@pytest.mark.parametrize(
    ("name", "settings", "unknown", "reserved"),
    [
        ("elevenlabs", {"stability": 1, "seed": 3, "inputs": []}, ["stability"], ["seed", "inputs"]),
        ("elevenlabs_turns", {"stabilty": 1, "text": "x"}, ["stabilty"], ["text"]),
        ("hume", {"temprature": 1, "request_options": {}, "version": "1"}, ["temprature"], ["version"]),
        ("openai", {"input": "x", "response_format": "mp3"}, [], ["input", "response_format"]),
    ],
)
def test_all_settings_that_no_request_can_carry_are_reported_at_once(name, settings, unknown, reserved):
    with pytest.raises(UserError) as caught:
        create_system(parse_declaration(load_declared(name, settings=settings)))
    for key in unknown:
        assert f"unknown key settings.{key};" in str(caught.value)
    for key in reserved:
        assert f"settings.{key} is filled in" in str(caught.value)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after-ms": "1500", "retry-after": "7"}, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after": " 3 "}, 3),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "²"}, None),
        ({"retry-after": ""}, None),
    ],
)
def test_the_wait_that_a_service_names_is_read_as_its_sdk_reads_it(headers, seconds):
    assert parse_retry_after(headers) == seconds


@given(st.text(max_size=30), st.text(max_size=30))
def test_no_text_of_a_retry_header_raises(text, milliseconds):
    value = parse_retry_after({"retry-after": text, "retry-after-ms": milliseconds})
    assert value is None or value >= 0


@pytest.mark.parametrize(("advice", "requests"), [("false", 1), ("true", 3)])
def test_the_advice_of_a_service_decides_whether_a_request_is_repeated(recording, vendor, advice, requests):
    status = 429 if advice == "false" else 400
    vendor.failures, vendor.headers = [status] * requests, {"x-should-retry": advice, "retry-after": "0"}
    done, _ = recording("openai", system={"concurrency": 1})
    kind = "rate_limited" if status == 429 else "http_400"
    assert done.failed == {kind: 1} and len(vendor.requests) == requests + 1


@pytest.mark.parametrize(
    ("name", "code", "status"),
    [(name, code, status) for name, codes in EXHAUSTED.items() for code, status in codes.items()],
)
def test_an_error_that_waiting_does_not_end_is_fatal(name, code, status):
    recorder = HttpRecorder(parse_declaration(load_declared(name)), (ValueError,))
    page = json.dumps({"error": {"code": code}}).encode()

    def send():
        recorder._on_response(SimpleNamespace(status_code=status, headers={}, read=lambda: page))
        raise ValueError("refused")

    with pytest.raises(RequestFailed) as failed:
        recorder.send(send)
    assert failed.value.fatal and not failed.value.retryable


@pytest.mark.parametrize("name", ["openai", "elevenlabs", "elevenlabs_turns", "hume"])
def test_the_clients_send_what_the_types_of_the_sdks_send(vendor, name):
    url = vendor.url + ("/v1" if name == "openai" else "")
    system, declaration = open_system(name, url)
    for script in SCRIPTS:
        for request in requests_of(system, declaration, script):
            system.send(request)
        ours, vendor.requests = vendor.requests, []
        for source, send in sdk_bodies(name, url, declaration, script):
            send()
            theirs, vendor.requests = vendor.requests, []
            assert [(sent["path"], sent["query"], sent["body"]) for sent in theirs] == [
                (sent["path"], sent["query"], sent["body"]) for sent in ours
            ], source


def test_a_document_is_cut_to_one_path_and_accepts_only_the_fields_that_it_names():
    speech = {"type": "object", "properties": {"voice": {"$ref": "#/components/schemas/Voice"}}}
    content = {
        "openapi": "3.1.0",
        "info": {"title": "t", "version": "1"},
        "paths": {
            "/a": {"post": {"requestBody": {"content": {"$ref": "#/components/schemas/Speech"}}}},
            "/b": {"post": {}},
        },
        "components": {
            "schemas": {
                "Speech": speech,
                "Voice": {
                    "type": "object",
                    "properties": {"speech": {"$ref": "#/components/schemas/Speech"}},
                },
                "Other": {},
            }
        },
    }
    cut = cut_document(content, "/a")
    assert set(cut["paths"]) == {"/a"} and set(cut["components"]["schemas"]) == {"Speech", "Voice"}
    assert all(schema["additionalProperties"] is False for schema in cut["components"]["schemas"].values())
    assert "additionalProperties" not in speech


def test_the_document_of_hume_names_the_fields_of_the_sdk():
    document = hume_document()
    assert {"utterances", "format", "version", "num_generations"} <= set(document.fields)
    utterance = document.resolve(document.fields["utterances"]["items"])
    assert set(utterance["properties"]) >= {"text", "voice", "description", "speed"}


def answer_with_times(vendor, segments, **changes):
    fields = [
        {"dialogue_input_index": index, "start_time_seconds": start, "end_time_seconds": end}
        for index, start, end in segments
    ]
    answer = {"audio_base64": base64.b64encode(tone()).decode(), "voice_segments": fields} | changes
    vendor.content_type, vendor.audio = "application/json", json.dumps(answer).encode()


TIMES = {"settings": {"with_timestamps": True, "settings": {"stability": 0.5}}, "concurrency": 1}


def test_elevenlabs_may_state_the_times_of_the_turns(recording, vendor):
    answer_with_times(vendor, [(0, 0.05, 0.1), (1, 0.3, 0.7), (0, 0.1, 0.25)])
    done, _ = recording("elevenlabs", system=TIMES)
    assert {request["path"] for request in vendor.requests} == {"/v1/text-to-dialogue/with-timestamps"}
    assert all("with_timestamps" not in request["body"] for request in vendor.requests)
    first, second = read_rows(done.folder / "outputs.jsonl")
    assert first["turn_times"] == [[0.05, 0.25], [0.3, 0.6]] and second["turn_times"] == [[0.0, 0.6]]
    assert (done.folder / first["parts"][0]["raw_path"]).read_bytes() == tone()
    assert first["parts"][0]["cost_units"] == 42


@pytest.mark.parametrize(
    "segments", [[], [(0, 0.0, 0.1)], [(0, 0.0, 0.1), (2, 0.1, 0.2)], [(0, 0.2, 0.1), (1, 0.3, 0.4)]]
)
def test_times_that_leave_a_turn_out_are_unknown(recording, vendor, segments):
    answer_with_times(vendor, segments)
    done, _ = recording("elevenlabs", system=TIMES)
    assert done.failed == {} and read_rows(done.folder / "outputs.jsonl")[0]["turn_times"] is None


@pytest.mark.parametrize("changes", [{"audio_base64": "*"}, {"audio_base64": None}, {"voice_segments": None}])
def test_an_answer_with_times_but_without_sound_is_not_requested_twice(recording, vendor, changes):
    answer_with_times(vendor, [(0, 0.0, 0.1)], **changes)
    done, _ = recording("elevenlabs", system=TIMES)
    assert done.failed == ({} if "voice_segments" in changes else {"not_audio": 2})
    assert len(vendor.requests) == 2


def test_a_page_in_place_of_times_is_not_requested_twice(recording, vendor):
    vendor.failures = ["html"] * 2
    done, _ = recording("elevenlabs", system=TIMES)
    assert done.failed == {"not_audio": 2} and len(vendor.requests) == 2
