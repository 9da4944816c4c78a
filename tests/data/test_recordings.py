"""Decisions on what models heard in a recording, and the whole pipeline on two voices."""

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
from dia.data.recordings.arousal import with_arousal
from dia.data.recordings.decisions import (
    Event,
    Word,
    apart,
    events_of,
    pieces_of,
    placed,
    speech_stretches,
    voice_names,
    voiced_words,
    without_laughter,
)
from dia.data.recordings.measures import measured
from dia.data.segmentation import TimedTurn, dialogue_of, group_turns
from dia.judges.events import DetectorUnavailable, EventDetector

LIMITS = Thresholds()


def words_of(*heard):
    return {
        "text": np.array([text for text, *_ in heard], dtype=np.str_),
        "start": np.array([start for _, start, *_ in heard], dtype=np.float32),
        "end": np.array([end for _, _, end, *_ in heard], dtype=np.float32),
        "probability": np.full(len(heard), 0.9, dtype=np.float32),
    }


def test_speech_ends_where_it_stays_below_for_a_while():
    probability = np.array(
        [0.1] * 10 + [0.9] * 20 + [0.2] * 5 + [0.9] * 20 + [0.1] * 30 + [0.9] * 3 + [0.0] * 20
    )
    stretches = speech_stretches(probability, LIMITS)
    assert stretches == [
        pytest.approx((0.32, 1.76))
    ]  # the short gap is bridged, the short burst is no speech


def test_voices_are_told_apart_in_blocks_of_any_number():
    rng = np.random.default_rng(0)
    one, two = (vector / np.linalg.norm(vector) for vector in rng.standard_normal((2, 64)))
    spoken = np.array([0] * 40 + [1] * 1500 + [0] * 700)
    vectors = np.stack([(one, two)[voice] for voice in spoken]) + 0.02 * rng.standard_normal(
        (len(spoken), 64)
    )
    names = voice_names(
        np.arange(len(spoken)) * 0.4, vectors / np.linalg.norm(vectors, axis=1, keepdims=True), LIMITS
    )
    assert names == [f"v{voice + 1}" for voice in spoken]


def test_spelled_out_laughter_is_a_sound_and_a_single_ha_a_word():
    heard = words_of(
        (" Ha", 0.0, 0.2),
        (" ha", 0.2, 0.4),
        (" ha!", 0.4, 9.0),
        (" Fool.", 1.0, 1.5),
        (" Ha!", 1.6, 1.8),
        (" Hope.", 1.8, 2),
    )
    words, events = without_laughter(heard, 2.0, "asr")
    assert [str(text) for text in words["text"]] == [" Fool.", " Ha!", " Hope."]
    assert [(event.tag, event.start, event.end) for event in events] == [("laughs", 0.0, 2.0)]
    assert without_laughter(words_of((" Mwahahaha", 0.0, 1.0)), 1.0, "asr")[1][0].tag == "laughs"
    assert (
        without_laughter(words_of((" Hello", 0.0, 1.0), (" he", 1.0, 1.2), (" had", 1.2, 1.4)), 2.0, "asr")[1]
        == []
    )


def test_words_where_nobody_speaks_are_taken_out():
    speech = np.array([0.9] * 32 + [0.0] * 64)
    words = voiced_words(
        words_of((" Yes.", 0.2, 0.6), (" Thanks.", 2.0, 2.5)), speech, np.array([0.4, 2.2]), ["v1", "v1"]
    )
    assert [word.text for word in words] == [" Yes."]


def test_a_sound_stands_between_the_words_it_lies_between():
    words = [
        Word(" One", 0.0, 0.4, "v1"),
        Word(" two", 0.5, 0.9, "v1"),
        Word(" three.", 2.0, 2.4, "v1"),
        Word(" Four.", 4.0, 4.5, "v2"),
    ]
    pieces = pieces_of(words, Thresholds(turn_pause=1.5))
    events = [Event("laughs", 1.1, 1.8, 0.9, "m"), Event("coughs", 4.7, 5.0, 0.8, "m")]
    placed_pieces = placed(pieces, words, events)
    assert [(sound.tag, item.turn.text[: sound.char]) for item in placed_pieces for sound in item.nonverbals] == [
        ("laughs", "One two "), ("coughs", "Four."),
    ]  # fmt: skip
    assert placed_pieces[1].end == pytest.approx(5.0)
    alone = placed([], [], events[:1])
    assert alone[0].turn.text == "" and alone[0].nonverbals[0].tag == "laughs"


def test_events_are_runs_above_their_limit_and_share_no_time():
    score = np.zeros((20, 2))
    score[4:7, 0], score[5, 1], score[15, 1] = 0.8, 0.4, 0.9
    measures = {"start": np.arange(20) * 0.2, "tags": np.array(["laughs", "coughs"]), "score": score}
    events = events_of(measures, {"laughs": 0.5, "coughs": 0.3}, "m")
    assert [event.tag for event in events] == ["laughs", "coughs"] and events[0].end < events[1].start
    assert events_of(measures, {"coughs": 0.95}, "m") == []
    assert apart(events, [Event("laughs", 1.0, 1.5, 1.0, "asr")]) == events


def test_turns_become_dialogues_with_speakers_by_order():
    turns = [
        TimedTurn(LabelledTurn(1, text, start, start + 3.0, voice), sounds)
        for text, start, voice, sounds in (
            ("Hello.", 0.0, "v7", ()), ("Well?", 3.5, "v7", (LabelledNonverbal("laughs", 0, 5, "m", 6.0, 6.4),)),
            ("Hi.", 7.0, "v2", ()), ("Who?", 10.5, "v3", ()), ("Later.", 30.0, "v3", ()),
        )
    ]  # fmt: skip
    groups = group_turns(turns, DialogueLimits())
    assert [len(group) for group in groups] == [3, 1, 1]  # a third voice and a long pause end a clip
    labelled, sounds = dialogue_of(groups[0], 0.0)
    assert [(turn.speaker, turn.text) for turn in labelled] == [(1, "Hello. Well?"), (2, "Hi.")]
    assert (sounds[0].turn, sounds[0].char) == (0, len("Hello. Well?"))


def test_high_loud_and_fast_is_aroused():
    pitch, energy, pieces = np.full(4000, 120.0), np.full(4000, -30.0), []
    for number in range(10):
        begin = number * 400
        aroused = number in (3, 7)
        pitch[begin : begin + 300] += 80 if aroused else number
        energy[begin : begin + 300] += 12 if aroused else 0.1 * number
        pieces.append(
            TimedTurn(LabelledTurn(1, "word " * (14 if aroused else 9), begin / 100, begin / 100 + 3, "v1"))
        )
    labelled = with_arousal(pieces, {"pitch": pitch, "energy": energy}, "prosody")
    values = [item.turn.emotions[0].arousal for item in labelled]
    assert (
        min(values[3], values[7])
        > 0.6
        > max(value for number, value in enumerate(values) if number not in (3, 7))
    )
    assert all(
        item.turn.emotions == ()
        for item in with_arousal(pieces[:4], {"pitch": pitch, "energy": energy}, "prosody")
    )


class Counting:
    """A stage that counts how often it is asked."""

    name = "counting"
    identity = {"model": "one"}  # noqa: RUF012
    asked = 0

    def measure(self, waveform):
        self.asked += 1
        return {"sum": np.array([waveform.sum()])}


def test_a_model_hears_a_recording_once_and_a_damaged_measure_is_made_again(tmp_path):
    stage, waveform = Counting(), np.ones(10, dtype=np.float32)
    for _ in range(2):
        assert measured(stage, waveform, "abc", tmp_path)["sum"][0] == 10
    assert stage.asked == 1
    path = next(tmp_path.rglob("*.npz"))
    path.write_bytes(path.read_bytes()[:20])
    assert measured(stage, waveform, "abc", tmp_path)["sum"][0] == 10 and stage.asked == 2
    stage.identity = {"model": "two"}
    assert measured(stage, waveform, "abc", tmp_path)["sum"][0] == 10 and stage.asked == 3


def test_two_voices_become_a_dialogue_and_a_threshold_needs_no_model(tmp_path, monkeypatch):
    pytest.importorskip("hibari"), pytest.importorskip("piper"), pytest.importorskip("silero_vad")
    try:
        EventDetector()
    except DetectorUnavailable as missing:
        pytest.skip(str(missing))
    from dia.data.sources.voices import SAMPLE_RATE, STYLES, Heart, Joe, speak_styled

    said = (
        "Did you see the river this morning?",
        "I did, and it was very high indeed.",
        "Then we had better stay at home.",
    )
    pause = np.zeros(SAMPLE_RATE // 3, dtype=np.float32)
    voices = (Heart(), Joe(), Heart())
    waveforms = [
        speak_styled(voice, text, STYLES["plain"], 1) for voice, text in zip(voices, said, strict=True)
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
        monkeypatch.setattr(
            stage, "measure", lambda self, waveform: pytest.fail(f"{self.name} heard it again")
        )
    recordings.thresholds.turn_pause = 0.2
    again = prepare(config, None, EngineConfig(workers=0))
    assert again != folder and len(open_prepared(again)["train"]) == 1
