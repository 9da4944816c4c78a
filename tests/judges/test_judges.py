"""The real judges, on speech of the two voices, on silence, and on what is too short to judge."""

import numpy as np
import pytest

from dia.data.sources.voices import SAMPLE_RATE, STYLES, Heart, Joe, speak_styled
from dia.dialogue import Script
from dia.judges.events import DetectorUnavailable, EventDetector
from dia.judges.quality import DistillMos
from dia.judges.recording import Recording
from dia.judges.speakers import ResemblyzerEncoder
from dia.judges.transcription import Whisper, transcript
from dia.judges.words import word_errors

TEXT = "The weather is lovely today, and we are going to the park."


def recording_of(waveform, text=TEXT, speaker=1):
    times = ((0.0, len(waveform) / SAMPLE_RATE),)
    return Recording(
        "1", "ground truth", Script.parse(f"[S{speaker}] {text}"), waveform, SAMPLE_RATE, turn_times=times
    )


@pytest.fixture(scope="module")
def spoken():
    voices = {1: Heart(), 2: Joe()}
    return {
        speaker: [
            recording_of(speak_styled(voice, TEXT, STYLES["plain"], seed), speaker=speaker)
            for seed in range(2)
        ]
        for speaker, voice in voices.items()
    }


@pytest.fixture(scope="module")
def silence():
    return recording_of(np.zeros(2 * SAMPLE_RATE, dtype=np.float32))


def test_whisper_recognises_both_voices_and_no_words_in_silence(spoken, silence):
    whisper = Whisper()
    for recordings in spoken.values():
        words = whisper.words(recordings[0])
        assert word_errors(recordings[0].script, transcript(words)).errors <= 1
        assert all(0 <= word.start <= word.end <= recordings[0].seconds + 0.5 for word in words)
    assert whisper.words(silence) == [] and whisper.words(recording_of(np.zeros(100, dtype=np.float32))) == []
    assert "beam_size=5" in whisper.provenance.settings and "sha256" in whisper.provenance.model


def test_the_encoder_distinguishes_the_voices(spoken, silence):
    encoder = ResemblyzerEncoder()
    voices = encoder.enroll([spoken[1][0], spoken[2][0]])
    for recordings in spoken.values():
        similarity = encoder.compare(recordings[1], list(recordings[1].turn_times), voices)[0]
        assert similarity is not None and similarity.right > 0.8
        assert similarity.right - similarity.wrong > 0.15
    assert encoder.compare(silence, list(silence.turn_times), voices) == [None]


def test_noise_rates_worse_than_speech(spoken):
    quality = DistillMos()
    clean = spoken[1][0]
    noise = 0.1 * np.random.default_rng(0).standard_normal(len(clean.waveform)).astype(np.float32)
    noisy = recording_of(clean.waveform + noise)
    assert quality.predict(clean) > 3.5 > quality.predict(noisy)
    assert quality.predict(recording_of(np.zeros(100, dtype=np.float32))) is None


def test_the_detector_recognises_a_tone_as_a_beep(silence):
    try:
        detector = EventDetector()
    except DetectorUnavailable as missing:
        pytest.skip(str(missing))
    tone = 0.3 * np.sin(np.arange(SAMPLE_RATE) * 2 * np.pi * 1000 / SAMPLE_RATE).astype(np.float32)
    assert detector.scores(recording_of(tone))["beep"] > detector.scores(silence)["beep"]


def test_a_missing_detector_is_reported_with_its_source(monkeypatch, tmp_path):
    monkeypatch.setenv("DIA_MODELS", str(tmp_path))
    with pytest.raises(DetectorUnavailable, match=r"yamnet.*DIA_MODELS.*tensorflow/models.*sha256"):
        EventDetector()
