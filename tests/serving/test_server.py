"""The server, spoken to by OpenAI's official client and by plain HTTP."""

import base64
import io
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import av
import httpx
import numpy as np
import openai
import pytest
import soundfile
import torch

from dia.errors import UserError
from dia.inference.long_form import join_waveforms
from dia.serving.encoding import FORMATS, PCM_RATE, as_int16, open_encoder
from tests.serving.conftest import client_of, make_dia, serving

TEXT = "[S1] Hello there. [S2] Yes!"
RATE = 16_000
PREVIEW = round(0.4 * RATE)  # samples of which the first chunk has fewer


def seconds_of(content, name):
    if name == "pcm":
        return len(content) / 2 / PCM_RATE
    with av.open(io.BytesIO(content)) as container:
        return sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))


def int16_of(waveform):
    return np.frombuffer(as_int16(waveform), "<i2").astype(int)


def assert_same_audio(content, wanted):
    """The WAV file of a stream holds this audio; its first chunk, made early, holds it approximately.

    The server decodes in a thread of its own, and other numbers of threads sum floats in another order:
    samples may differ by the 1e-4 of tests/inference/test_streaming.py.
    """
    samples, expected = np.frombuffer(content[44:], "<i2").astype(int), int16_of(wanted)
    assert len(samples) == len(expected)
    assert (np.abs(samples - expected)[PREVIEW:] <= 1e-4 * 2**15).all()
    error, power = np.square(samples - expected).sum(), np.square(expected[:PREVIEW]).sum()
    assert error <= 1e-2 * power


def speak(client, text=TEXT, name="pcm", **values):
    values = {"voice": "default", "model": "tiny", **values}
    return client.audio.speech.create(input=text, response_format=name, **values).content


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_holds_what_generate_returns(server, dia, name):
    content = speak(client_of(server[0]), name=name, extra_body={"seed": 27})
    wanted = dia.generate(TEXT, seed=27, lint="off")
    assert seconds_of(content, name) == pytest.approx(len(wanted) / RATE, abs=0.15)
    if name == "wav":
        assert_same_audio(content, wanted)
    if name == "flac":
        with av.open(io.BytesIO(content)) as container:
            frames = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
        samples = np.concatenate(frames).astype(int)
        assert (
            len(samples) == len(wanted) and np.abs(samples[PREVIEW:] - int16_of(wanted)[PREVIEW:]).max() <= 1
        )


def test_audio_arrives_before_the_end_of_the_generation(server):
    before = httpx.get(f"{server[0]}/health").json()["requests"]
    request = client_of(server[0]).audio.speech.with_streaming_response.create(
        input=TEXT, voice="default", model="tiny", response_format="wav", extra_body={"seed": 27}
    )
    with request as response:
        chunks = response.iter_bytes()
        assert next(chunks)[:4] == b"RIFF"
        parts = list(chunks)
    assert before == 0 and len(parts) >= 3


def test_events_carry_the_same_bytes(server):
    body = {"input": TEXT, "response_format": "pcm", "stream_format": "sse", "seed": 27}
    answer = httpx.post(f"{server[0]}/v1/audio/speech", json=body, timeout=60)
    events = [json.loads(line[6:]) for line in answer.text.split("\n\n") if line]
    assert events[-1]["type"] == "speech.audio.done"
    audio = b"".join(base64.b64decode(event["audio"]) for event in events[:-1])
    assert audio == speak(client_of(server[0]), extra_body={"seed": 27})


def test_requests_at_the_same_time_get_what_they_get_alone(server, dia):
    texts = [f"[S1] Number {number}." * (1 + number % 3) for number in range(10)]

    def ask(number):
        time.sleep(0.05 * (number % 4))
        return speak(client_of(server[0]), texts[number], "wav", extra_body={"seed": number, "lint": "off"})

    with ThreadPoolExecutor(10) as pool:
        contents = list(pool.map(ask, range(10)))
    for number, content in enumerate(contents):
        assert_same_audio(content, dia.generate(texts[number], seed=number, lint="off"))


def test_sampling_values_of_a_request_are_its_own(server, dia):
    values = {"temperature": 0.7, "cfg_scale": 0.0, "top_p": 0.8, "cfg_filter_top_k": 9}
    content = speak(client_of(server[0]), name="wav", extra_body={"seed": 1, **values})
    assert_same_audio(content, dia.generate(TEXT, seed=1, lint="off", **values))


def test_speed_and_retries_work_on_whole_takes(server, dia):
    client = client_of(server[0])
    content = speak(client, name="wav", speed=1.5, extra_body={"seed": 27})
    assert_same_audio(content, dia.generate(TEXT, seed=27, speed=1.5, lint="off"))
    content = speak(client, name="wav", extra_body={"seed": 27, "retries": 1})
    assert_same_audio(content, dia.generate(TEXT, seed=27, retries=1, lint="off"))


def test_a_long_text_is_spoken_in_pieces(server, dia):
    text = " ".join(f"[S{1 + number % 2}] This is sentence number {number}." for number in range(14))
    pieces = dia.split_text(text, None, lint="off")
    assert len(pieces) > 1
    takes = [dia.generate(piece, seed=5 + number, lint="off") for number, piece in enumerate(pieces)]
    wanted = np.concatenate(list(join_waveforms(takes, RATE)))
    content = speak(client_of(server[0]), text, "wav", extra_body={"seed": 5})
    assert_same_audio(content, wanted)


def test_words_without_a_speaker_are_spoken_by_the_first(server):
    client = client_of(server[0])
    assert speak(client, "Hello there.", extra_body={"seed": 1}) == speak(
        client, "[S1] Hello there.", extra_body={"seed": 1}
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"voice": "../secret"}, "there is no voice"),
        ({"response_format": "midi"}, "response_format"),
        ({"speed": 9.0}, "speed"),
        ({"input": ""}, "input"),
        ({"input": "[S1] " + "word " * 500}, "longer than 2000 bytes"),
        ({"extra_body": {"colour": "red"}}, "colour"),
        ({"extra_body": {"temperature": -1}}, "temperature"),
        ({"input": "[S1] (laughs) <joy>", "extra_body": {"lint": "error"}}, "problems"),
    ],
)
def test_a_bad_request_says_what_is_wrong(server, values, message):
    given = {"input": TEXT, "voice": "default", "model": "tiny", **values}
    with pytest.raises(openai.BadRequestError, match=message):
        client_of(server[0]).audio.speech.create(**given)


def test_the_model_is_listed(server):
    client = client_of(server[0])
    assert [model.id for model in client.models.list()] == ["tiny"]
    assert client.models.retrieve("tiny").id == "tiny"
    with pytest.raises(openai.NotFoundError, match="there is no model"):
        client.models.retrieve("gpt-4o")


def test_health_metrics_and_the_description_of_the_api(server):
    health = httpx.get(f"{server[0]}/health").json()
    assert health["status"] == "ok" and health["model"] == "tiny"
    speak(client_of(server[0]), extra_body={"seed": 1})
    figures = httpx.get(f"{server[0]}/metrics").text
    assert 'dia_requests_ended_total{outcome="finished"}' in figures and "dia_audio_seconds_total" in figures
    paths = httpx.get(f"{server[0]}/openapi.json").json()["paths"]
    assert {"/v1/audio/speech", "/v1/audio/voices", "/health", "/metrics"} <= set(paths)


def test_a_recording_becomes_a_voice_that_speaks(server, dia, tmp_path):
    times = np.arange(6 * RATE) / RATE
    recording = (0.3 * np.sin(2 * np.pi * 150 * times)).astype(np.float32)
    soundfile.write(tmp_path / "anna.wav", recording, RATE)
    transcript = "[S1] We walked along the river until the light was gone, and nobody said a word."
    address = f"{server[0]}/v1/audio/voices"
    form = {"name": "anna", "transcript": transcript}
    answer = httpx.post(address, data=form, files={"file": (tmp_path / "anna.wav").open("rb")}, timeout=60)
    assert answer.status_code == 201 and answer.json() == {
        "name": "anna",
        "seconds": 6.0,
        "transcript": transcript,
        "warnings": [],
    }
    assert httpx.get(address).json() == {"voices": ["default", "anna"]}
    voice = dia.make_voice(str(tmp_path / "anna.wav"), transcript)
    content = speak(client_of(server[0]), "[S1] Yes.", "wav", voice="anna", extra_body={"seed": 2})
    assert_same_audio(content, dia.generate("[S1] Yes.", voice=voice, seed=2, lint="off"))
    again = httpx.post(address, data=form, files={"file": (tmp_path / "anna.wav").open("rb")}, timeout=60)
    assert again.status_code == 400 and "exists" in again.json()["error"]["message"]


@pytest.mark.parametrize("name", ["../out", "a/b", "/etc/x", "", ".hidden", "a\0b", "default", "x" * 99, "ä"])
def test_a_voice_cannot_be_saved_outside_of_its_folder(server, name, tmp_path):
    soundfile.write(tmp_path / "a.wav", 0.1 * np.ones(6 * RATE, dtype=np.float32), RATE)
    form = {"name": name, "transcript": "[S1] We walked along the river until the light was gone, and more."}
    answer = httpx.post(
        f"{server[0]}/v1/audio/voices",
        data=form,
        files={"file": ("../../x.wav", (tmp_path / "a.wav").open("rb"))},
        timeout=60,
    )
    assert answer.status_code == 400 and answer.json()["error"]["message"]
    folder = server[1].state.server.voices.folder
    assert {path.name for path in folder.parent.iterdir()} <= {folder.name}


def test_an_upload_that_is_no_recording_is_refused(server):
    answer = httpx.post(
        f"{server[0]}/v1/audio/voices",
        data={"name": "noise", "transcript": "[S1] Hello."},
        files={"file": ("x.wav", b"not a recording")},
        timeout=60,
    )
    assert answer.status_code == 400


def test_a_body_that_is_too_large_is_refused(server):
    answer = httpx.post(f"{server[0]}/v1/audio/speech", content=b" " * 1_100_000, timeout=60)
    assert answer.status_code == 413 and "1.0 MB" in answer.json()["error"]["message"]

    def endless():
        for _ in range(40):
            yield b" " * 50_000

    answer = httpx.post(f"{server[0]}/v1/audio/speech", content=endless(), timeout=60)
    assert answer.status_code == 413


def test_the_key_is_required_where_there_is_one(dia, monkeypatch):
    monkeypatch.setenv("DIA_API_KEY", "secret")
    with serving(dia) as (address, _):
        with pytest.raises(openai.AuthenticationError, match="API key"):
            speak(client_of(address, "wrong"))
        assert speak(client_of(address, "secret"), extra_body={"seed": 1})
        assert httpx.get(f"{address}/health").status_code == 200
        assert httpx.get(f"{address}/v1/models").status_code == 401


def test_more_requests_than_the_queue_holds_are_told_to_come_back(dia):
    with serving(dia, capacity=1, waiting=1) as (address, _):
        failures = []

        def ask(number):
            try:
                speak(client_of(address), extra_body={"seed": number})
            except openai.RateLimitError as error:
                failures.append(error.response.headers["retry-after"])

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert 1 <= len(failures) <= 4 and set(failures) == {"5"}
        assert speak(client_of(address), extra_body={"seed": 1})


def test_a_client_that_goes_away_frees_its_place(dia):
    with serving(dia, capacity=1, waiting=4) as (address, app):
        worker = app.state.server.worker
        body = {"input": TEXT, "response_format": "wav", "seed": 27}
        with httpx.stream("POST", f"{address}/v1/audio/speech", json=body, timeout=60) as response:
            next(response.iter_bytes(1))
        assert speak(client_of(address), extra_body={"seed": 1})
        deadline = time.monotonic() + 20
        while worker.load() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert worker.load() == 0 and worker.counts.cancelled + worker.counts.finished == 2


def test_a_request_that_takes_too_long_is_given_up(dia):
    with serving(dia, deadline=0.01) as (address, app):
        with pytest.raises(openai.APIStatusError, match="not finished in time") as caught:
            speak(client_of(address), extra_body={"seed": 27})
        assert caught.value.status_code == 504
        assert app.state.server.worker.counts.expired == 1 and app.state.server.worker.load() == 0


def test_a_defect_of_the_worker_ends_the_requests_and_is_seen(monkeypatch):
    broken = make_dia()
    with serving(broken) as (address, _):
        monkeypatch.setattr(broken.network, "next_logits", lambda *_: 1 / 0)
        for _ in range(2):
            with pytest.raises(openai.InternalServerError):
                speak(client_of(address), extra_body={"seed": 27})
        assert httpx.get(f"{address}/health").status_code == 503


def test_audio_that_cannot_be_decoded_ends_its_request_only(monkeypatch):
    damaged = make_dia()
    decode = damaged.codec.decode_features

    def failing(codes):
        if (codes == 3).all(-1).any():  # the codes of one request
            raise UserError("the codec gives samples that are not finite")
        return decode(codes)

    with serving(damaged) as (address, app):
        worker = app.state.server.worker
        complete = worker._end

        def marked(running, result):
            if running.job.request.seed == 27 and not isinstance(result, Exception):
                result = replace(result, codes_TC=torch.full_like(result.codes_TC, 3))
            return complete(running, result)

        monkeypatch.setattr(damaged.codec, "decode_features", failing)
        monkeypatch.setattr(worker, "_end", marked)
        with ThreadPoolExecutor(3) as pool:
            asked = [
                pool.submit(speak, client_of(address), TEXT, "wav", extra_body={"seed": seed, "speed": 1.1})
                for seed in (1, 27, 2)
            ]
            assert isinstance(asked[1].exception(), openai.BadRequestError)
            assert asked[0].result()[:4] == asked[2].result()[:4] == b"RIFF"
        assert worker.load() == 0 and httpx.get(f"{address}/health").status_code == 200


def test_configuration_problems_are_told_at_once(server):
    config = replace(server[1].state.server.config, port=99_999, capacity=0, waiting=-1, ckpt="")
    assert len(config.problems()) == 4


@pytest.mark.parametrize("rate", [16_000, 44_100])
@pytest.mark.parametrize("name", FORMATS)
def test_an_encoder_preserves_length_and_pitch(name, rate):
    times = np.arange(3 * rate) / rate
    waveform = (0.5 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)
    encoder = open_encoder(name, rate)
    parts = [encoder.encode(waveform[begin : begin + 7001]) for begin in range(0, len(waveform), 7001)]
    content = b"".join([*parts, encoder.finish()])
    assert seconds_of(content, name) == pytest.approx(3, abs=0.15)
    if name == "pcm":
        samples, decoded_rate = np.frombuffer(content, "<i2") / 32768, PCM_RATE
    else:
        with av.open(io.BytesIO(content)) as container:
            frames = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
            decoded_rate = container.streams.audio[0].rate
        samples = np.concatenate(frames).astype(np.float64)
    spectrum = np.abs(np.fft.rfft(samples[decoded_rate : 2 * decoded_rate]))
    assert spectrum.argmax() == pytest.approx(440, abs=1)


@pytest.mark.parametrize(("voice", "script"), [("S1", "[S1] Yes."), ("S2", "[S2] Yes."), ("dialogue", TEXT)])
def test_requests_of_dia_tts_server(server, dia, voice, script):
    """Its documented body (devnen/Dia-TTS-Server, documentation.md, 13.2.1), with the modes of its voices."""
    text = script if voice == "dialogue" else script.partition("] ")[2]
    body = {"model": "dia-1.6b", "input": text, "voice": voice, "response_format": "wav", "speed": 1.0}
    address = f"{server[0]}/v1/audio/speech"
    answer = httpx.post(address, json=body | {"seed": 27}, timeout=60)
    assert_same_audio(answer.content, dia.generate(script, seed=27, lint="off"))
    drawn = httpx.post(address, json=body | {"seed": -1, "response_format": "opus"}, timeout=60)
    assert drawn.status_code == 200 and seconds_of(drawn.content, "opus") > 0
