"""Labelling of recordings: decisions from model outputs, and the whole pipeline on two voices."""

import json

import numpy as np
import pytest

from dia.audio.files import write_audio
from dia.config.data import DataConfig, DialogueLimits
from dia.config.engine import EngineConfig
from dia.config.recordings import RecordingsConfig, Thresholds
from dia.data.clip import LabelledNonverbal, LabelledTurn
from dia.data.prepare import prepare
from dia.data.prepared import open_prepared
from dia.data.recordings.arousal import label_arousal
from dia.data.recordings.decisions import (
    Event,
    Word,
    assign_voices,
    cluster_voices,
    detect_events,
    extract_laughter,
    place_events,
    speech_segments,
    split_at_pauses,
    without_overlaps,
)
from dia.data.recordings.stage_cache import measure_cached
from dia.data.segmentation import TimedTurn, dialogue_of, group_turns
from dia.judges.events import DetectorUnavailable, EventDetector

LIMITS = Thresholds()


def words_of(*words):
    return {
        "text": np.array([text for text, *_ in words], dtype=np.str_),
        "start": np.array([start for _, start, *_ in words], dtype=np.float32),
        "end": np.array([end for _, _, end, *_ in words], dtype=np.float32),
        "probability": np.full(len(words), 0.9, dtype=np.float32),
    }


def test_speech_ends_where_the_probability_stays_below_the_threshold():
    probability = np.array(
        [0.1] * 10 + [0.9] * 20 + [0.2] * 5 + [0.9] * 20 + [0.1] * 30 + [0.9] * 3 + [0.0] * 20
    )
    segments = speech_segments(probability, LIMITS)
    assert segments == [
        pytest.approx((0.32, 1.76))
    ]  # the short gap is bridged, the short burst is not speech


def test_voices_are_distinguished_across_blocks_of_windows():
    rng = np.random.default_rng(0)
    one, two = (vector / np.linalg.norm(vector) for vector in rng.standard_normal((2, 64)))
    voice_of_window = np.array([0] * 40 + [1] * 1500 + [0] * 700)
    vectors = np.stack([(one, two)[voice] for voice in voice_of_window]) + 0.02 * rng.standard_normal(
        (len(voice_of_window), 64)
    )
    names = cluster_voices(
        np.arange(len(voice_of_window)) * 0.4,
        vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
        LIMITS,
    )
    assert names == [f"v{voice + 1}" for voice in voice_of_window]


def test_spelled_out_laughter_is_an_event_and_a_single_ha_a_word():
    recognised = words_of(
        (" Ha", 0.0, 0.2),
        (" ha", 0.2, 0.4),
        (" ha!", 0.4, 9.0),
        (" Fool.", 1.0, 1.5),
        (" Ha!", 1.6, 1.8),
        (" Hope.", 1.8, 2),
    )
    words, events = extract_laughter(recognised, 2.0, "asr")
    assert [str(text) for text in words["text"]] == [" Fool.", " Ha!", " Hope."]
    assert [(event.tag, event.start, event.end) for event in events] == [("laughs", 0.0, 2.0)]
    assert extract_laughter(words_of((" Mwahahaha", 0.0, 1.0)), 1.0, "asr")[1][0].tag == "laughs"
    assert (
        extract_laughter(words_of((" Hello", 0.0, 1.0), (" he", 1.0, 1.2), (" had", 1.2, 1.4)), 2.0, "asr")[1]
        == []
    )


def test_words_outside_speech_are_removed():
    speech = np.array([0.9] * 32 + [0.0] * 64)
    words = assign_voices(
        words_of((" Yes.", 0.2, 0.6), (" Thanks.", 2.0, 2.5)), speech, np.array([0.4, 2.2]), ["v1", "v1"]
    )
    assert [word.text for word in words] == [" Yes."]


def test_an_event_is_placed_between_the_words_around_it():
    words = [
        Word(" One", 0.0, 0.4, "v1"),
        Word(" two", 0.5, 0.9, "v1"),
        Word(" three.", 2.0, 2.4, "v1"),
        Word(" Four.", 4.0, 4.5, "v2"),
    ]
    segments = split_at_pauses(words, Thresholds(turn_pause=1.5))
    events = [Event("laughs", 1.1, 1.8, 0.9, "m"), Event("coughs", 4.7, 5.0, 0.8, "m")]
    labelled = place_events(segments, words, events)
    assert [(sound.tag, item.turn.text[: sound.char]) for item in labelled for sound in item.nonverbals] == [
        ("laughs", "One two "),
        ("coughs", "Four."),
    ]
    assert labelled[1].end == pytest.approx(5.0)
    alone = place_events([], [], events[:1])
    assert alone[0].turn.text == "" and alone[0].nonverbals[0].tag == "laughs"


def test_events_are_runs_above_their_threshold_without_overlaps():
    score = np.zeros((20, 2))
    score[4:7, 0], score[5, 1], score[15, 1] = 0.8, 0.4, 0.9
    outputs = {"start": np.arange(20) * 0.2, "tags": np.array(["laughs", "coughs"]), "score": score}
    events = detect_events(outputs, {"laughs": 0.5, "coughs": 0.3}, "m")
    assert [event.tag for event in events] == ["laughs", "coughs"] and events[0].end < events[1].start
    assert detect_events(outputs, {"coughs": 0.95}, "m") == []
    assert without_overlaps(events, [Event("laughs", 1.0, 1.5, 1.0, "asr")]) == events


def test_turns_become_dialogues_with_speakers_by_order():
    turns = [
        TimedTurn(LabelledTurn(1, text, start, start + 3.0, voice), sounds)
        for text, start, voice, sounds in (
            ("Hello.", 0.0, "v7", ()),
            ("Well?", 3.5, "v7", (LabelledNonverbal("laughs", 0, 5, "m", 6.0, 6.4),)),
            ("Hi.", 7.0, "v2", ()),
            ("Who?", 10.5, "v3", ()),
            ("Later.", 30.0, "v3", ()),
        )
    ]
    groups = group_turns(turns, DialogueLimits())
    assert [len(group) for group in groups] == [3, 1, 1]  # a third voice and a long pause end a clip
    labelled, sounds = dialogue_of(groups[0], 0.0)
    assert [(turn.speaker, turn.text) for turn in labelled] == [(1, "Hello. Well?"), (2, "Hi.")]
    assert (sounds[0].turn, sounds[0].char) == (0, len("Hello. Well?"))


def test_high_loud_and_fast_speech_is_aroused():
    pitch, energy, segments = np.full(4000, 120.0), np.full(4000, -30.0), []
    for number in range(10):
        begin = number * 400
        aroused = number in (3, 7)
        pitch[begin : begin + 300] += 80 if aroused else number
        energy[begin : begin + 300] += 12 if aroused else 0.1 * number
        segments.append(
            TimedTurn(LabelledTurn(1, "word " * (14 if aroused else 9), begin / 100, begin / 100 + 3, "v1"))
        )
    labelled = label_arousal(segments, {"pitch": pitch, "energy": energy}, "prosody")
    values = [item.turn.emotions[0].arousal for item in labelled]
    assert (
        min(values[3], values[7])
        > 0.6
        > max(value for number, value in enumerate(values) if number not in (3, 7))
    )
    assert all(
        item.turn.emotions == ()
        for item in label_arousal(segments[:4], {"pitch": pitch, "energy": energy}, "prosody")
    )


class Counting:
    """A stage that counts its calls."""

    name = "counting"
    identity = {"model": "one"}  # noqa: RUF012
    calls = 0

    def measure(self, waveform):
        self.calls += 1
        return {"sum": np.array([waveform.sum()])}


def test_a_model_runs_once_per_recording_and_again_for_a_damaged_file(tmp_path):
    stage, waveform = Counting(), np.ones(10, dtype=np.float32)
    for _ in range(2):
        assert measure_cached(stage, waveform, "abc", tmp_path)["sum"][0] == 10
    assert stage.calls == 1
    path = next(tmp_path.rglob("*.npz"))
    path.write_bytes(path.read_bytes()[:20])
    assert measure_cached(stage, waveform, "abc", tmp_path)["sum"][0] == 10 and stage.calls == 2
    stage.identity = {"model": "two"}
    assert measure_cached(stage, waveform, "abc", tmp_path)["sum"][0] == 10 and stage.calls == 3


def test_two_voices_become_a_dialogue_and_a_threshold_needs_no_model(tmp_path, monkeypatch):
    pytest.importorskip("hibari"), pytest.importorskip("piper"), pytest.importorskip("silero_vad")
    try:
        EventDetector()
    except DetectorUnavailable as missing:
        pytest.skip(str(missing))
    from dia.data.sources.voices import SAMPLE_RATE, STYLES, Heart, Joe, speak_styled

    sentences = (
        "Did you see the river this morning?",
        "I did, and it was very high indeed.",
        "Then we had better stay at home.",
    )
    pause = np.zeros(SAMPLE_RATE // 3, dtype=np.float32)
    voices = (Heart(), Joe(), Heart())
    waveforms = [
        speak_styled(voice, text, STYLES["plain"], 1) for voice, text in zip(voices, sentences, strict=True)
    ]
    (tmp_path / "in").mkdir()
    write_audio(
        tmp_path / "in" / "talk.wav",
        np.concatenate([part for waveform in waveforms for part in (waveform, pause)]),
        SAMPLE_RATE,
    )
    (tmp_path / "in" / "silence.wav").write_bytes(b"")
    recordings = RecordingsConfig(measures=str(tmp_path / "measures"), splits={"train": 1.0})
    config = DataConfig(
        corpus="recordings",
        path=str(tmp_path / "in"),
        root=str(tmp_path),
        tokens=False,
        recordings=recordings,
    )
    folder = prepare(config, None, EngineConfig(workers=0))
    row = open_prepared(folder)["train"][0]
    assert [turn["speaker"] for turn in row["turns"]] == [1, 2, 1]
    assert "river this morning" in row["turns"][0]["text"] and "stay at home" in row["turns"][2]["text"]
    assert 5 < row["seconds"] < 12 and row["quality"]["mos"] > 3 and row["quality"]["snr_db"] > 20
    assert json.loads((folder / "dia.json").read_text())["left_out"][0]["id"] == "silence.wav"
    from dia.data.recordings import stages

    for stage in (stages.Speech, stages.Words, stages.Events, stages.Prosody, stages.Quality, stages.Voices):
        monkeypatch.setattr(stage, "measure", lambda self, waveform: pytest.fail(f"{self.name} ran again"))
    recordings.thresholds.turn_pause = 0.2
    again = prepare(config, None, EngineConfig(workers=0))
    assert again != folder and len(open_prepared(again)["train"]) == 1
