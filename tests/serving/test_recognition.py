"""Transcriptions by OpenAI's client, and the alignment of scripts with their takes."""

import io
import threading

import httpx
import numpy as np
import openai
import pytest
import soundfile

from dia.serving.job import QueueFullError
from dia.serving.recognition import LONGEST, WAITING, SpeechRecognition
from tests.serving.conftest import client_of, make_dia, serving
from tests.serving.recognisers import NotInstalled, ScriptReader

SCRIPT = "[S1] We were lost. (sighs) [S2] Yes."


def wav(seconds=1.0, rate=16_000):
    file = io.BytesIO()
    soundfile.write(file, np.full(round(seconds * rate), 0.1, dtype=np.float32), rate, format="WAV")
    return file.getvalue()


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("voices"))
    with serving(make_dia(), voices=folder, recognition=SpeechRecognition(ScriptReader())) as (address, _):
        yield address


def test_openais_client_transcribes(address):
    client = client_of(address)
    answer = client.audio.transcriptions.create(model="whisper-1", file=("x.wav", wav()))
    assert answer.text == "speech"
    text = client.audio.transcriptions.create(
        model="whisper-1", file=("x.wav", wav()), response_format="text"
    )
    assert str(text).strip() == "speech"
    with pytest.raises(openai.BadRequestError, match="response_format"):
        client.audio.transcriptions.create(model="x", file=("x.wav", wav()), response_format="srt")
    with pytest.raises(openai.BadRequestError):
        client.audio.transcriptions.create(model="x", file=("x.wav", b"no audio"))


def test_words_and_turns_have_times_where_they_are_recognised(address):
    answer = httpx.post(
        f"{address}/v1/audio/alignment", data={"script": SCRIPT}, files={"file": ("x.wav", wav())}
    ).json()
    words = [(word["text"], word["speaker"], word["start"] is not None) for word in answer["words"]]
    assert words == [("We", 1, True), ("were", 1, True), ("lost.", 1, False), ("Yes.", 2, True)]
    assert answer["turns"] == [
        {"speaker": 1, "start": 0.0, "end": pytest.approx(0.2)},
        {"speaker": 2, "start": pytest.approx(0.3), "end": pytest.approx(0.4)},
    ]


def test_a_long_recording_is_refused(address):
    answer = httpx.post(
        f"{address}/v1/audio/transcriptions", files={"file": ("x.wav", wav(LONGEST + 1, 1000))}, timeout=60
    )
    assert answer.status_code == 400 and "send at most" in answer.json()["error"]["message"]


def test_hours_in_a_small_file_are_not_decoded(address, monkeypatch):
    file = io.BytesIO()
    soundfile.write(file, np.zeros(3 * 3600 * 8000, dtype=np.int16), 8000, format="FLAC")
    assert len(file.getvalue()) < 1_000_000
    monkeypatch.setattr("dia.serving.recognition.waveform_from_bytes", None)
    monkeypatch.setattr("dia.audio.files._read", None)
    form = {"name": "x", "transcript": "[S1] Hello."}
    for path, data in (("transcriptions", {}), ("alignment", {"script": "[S1] x"}), ("voices", form)):
        answer = httpx.post(
            f"{address}/v1/audio/{path}", data=data, files={"file": ("x.flac", file.getvalue())}, timeout=60
        )
        assert answer.status_code == 400 and "10800 s long" in answer.json()["error"]["message"]


def test_without_the_model_the_reason_is_answered(tmp_path):
    with serving(
        make_dia(), voices=str(tmp_path), recognition=SpeechRecognition(NotInstalled())
    ) as (address, _):  # fmt: skip
        with pytest.raises(openai.InternalServerError, match="install the extra"):
            client_of(address).audio.transcriptions.create(model="x", file=("x.wav", wav()))
        assert "Whisper is not installed" in httpx.get(address).text


def test_only_some_recordings_may_wait():
    release, started = threading.Event(), threading.Semaphore(0)

    class Slow(ScriptReader):
        def words(self, recording):
            started.release()
            release.wait(30)
            return super().words(recording)

    recognition = SpeechRecognition(Slow())
    threads = [
        threading.Thread(target=recognition.transcribe, args=(wav(0.5 + number / 10),))
        for number in range(1 + WAITING)
    ]
    for thread in threads:
        thread.start()
    started.acquire(timeout=30)
    while recognition._places._value:  # until all of them wait
        pass
    with pytest.raises(QueueFullError):
        recognition.transcribe(wav())
    release.set()
    for thread in threads:
        thread.join(30)
    assert recognition.transcribe(wav()) == "speech"
