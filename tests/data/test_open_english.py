"""The corpus of open vocabulary: its splits, its voices, and its synthesis."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from dia.config.compose import compose, typed
from dia.config.data import DataConfig, OpenEnglishConfig
from dia.data.prepare import prepare
from dia.data.prepared import open_prepared
from dia.data.source import Tally
from dia.data.sources.demo_scripts import SPLITS, split_of
from dia.data.sources.open_english import OpenEnglishSource
from dia.data.sources.open_english_scripts import draw_sentences, plan_open_clips, read_library, words_of
from dia.data.sources.voices import SAMPLE_RATE, STYLES, open_voice, speak_styled
from dia.errors import UserError
from dia.resources import declaration

VOICES = declaration("data/open_english/voices.yaml")
CLIPS = {"train": 400, "validation": 40, "test": 240}


def drawn(split, count):
    return list(islice(draw_sentences(split, 0), count))


def planned(**settings):
    return list(plan_open_clips(OpenEnglishConfig(clips=CLIPS, turns=[0.5, 0.3, 0.2], **settings)))


def test_splits_share_no_sentence():
    sentences = {split: {text.replace("| ", "") for text in drawn(split, 3000)} for split in SPLITS}
    assert not sentences["train"] & sentences["test"]
    assert not sentences["train"] & sentences["validation"]
    assert not sentences["validation"] & sentences["test"]


def test_a_tenth_of_the_test_words_is_never_in_training():
    library, templates = read_library(), declaration("data/open_english/templates.yaml")
    training = {word for sentence in library.train for word in words_of(sentence)}
    training |= {word for text in templates["sentences"] for word in words_of(text)}
    training |= {word for words in templates["slots"].values() for text in words for word in words_of(text)}
    assert not set(library.words) - training
    test = {
        word
        for clip in planned()
        if clip.split == "test"
        for turn in clip.script.turns
        for word in words_of(turn.text)
    }
    assert len(test - training) >= 0.1 * len(test)


def test_the_corpus_for_evaluation_has_the_test_split_of_the_whole():
    small = typed(compose("train", ["+recipe=open", "data=open_english_test"])).data.open_english
    more = replace(small, clips=small.clips | {"train": 60})
    tests = [[clip for clip in plan_open_clips(each) if clip.split == "test"] for each in (small, more)]
    assert tests[0] == tests[1] and len(tests[0]) == 240


def test_the_vocabulary_is_open():
    library = read_library()
    assert len(library.train) > 30_000
    assert len({word for sentence in library.train for word in words_of(sentence)}) > 15_000
    assert len(library.test) > 5_000 and len(library.unseen) > 3_000
    assert all(split_of(sentence) == "test" for sentence in library.test)


def test_plans_are_a_function_of_the_seed():
    assert planned() == planned()
    assert planned(seed=1) != planned()


def test_held_out_voices_speak_in_the_test_split_only():
    held_out = set(VOICES["held_out"])
    assert len(held_out) == 4
    parts = {part for name in (*VOICES["fast"], *VOICES["slow"]) for part in name.split("+")}
    assert not held_out & parts
    assert len(parts) >= 24
    clips = planned()
    voices = {
        split: {voice for clip in clips if clip.split == split for voice in clip.voices} for split in SPLITS
    }
    assert not held_out & (voices["train"] | voices["validation"])
    assert held_out <= voices["test"]
    share = np.mean([clip.voices[0] in held_out for clip in clips if clip.split == "test"])
    assert 0.15 < share < 0.35


@pytest.mark.parametrize("voices", [["af_nova"], ["af_nova", "am_liam"]])
def test_a_corpus_of_chosen_voices(voices):
    drawn = {voice for clip in planned(voices=voices) for voice in clip.voices}
    assert drawn == set(voices)


def test_many_more_voices_for_cloning_without_the_held_out_ones():
    voices = typed(compose("train", ["data=open_voices"])).data.open_english.voices
    bases = {base for voice in voices for base in voice.partition("@")[0].split("+")}
    assert len(set(voices)) == len(voices) > 150
    assert not bases & set(VOICES["held_out"]) and len(bases) == 24


def test_a_pair_of_voices_recurs():
    pairs = [clip.voices[:2] for clip in planned(slow_voices=1.0) if clip.split == "train"]
    assert len(set(pairs)) <= 4 * len(VOICES["slow"])
    assert all(len(set(pair)) == len(pair) for pair in pairs)


@pytest.mark.slow
def test_kokoro_speaks_and_a_mean_of_voices_is_another_voice():
    texts = {
        name: open_voice(name).speak("Hello there.", 1.0, 0) for name in ("af_bella", "bf_emma+af_bella")
    }
    for waveform in texts.values():
        assert waveform.dtype == np.float32
        assert 0.5 < len(waveform) / SAMPLE_RATE < 3
        assert 0.05 < np.abs(waveform).max() <= 1
    assert not np.array_equal(*[waveform[:8000] for waveform in texts.values()])
    np.testing.assert_array_equal(texts["af_bella"], open_voice("af_bella").speak("Hello there.", 1.0, 1))
    with pytest.raises(UserError, match="af_nobody"):
        open_voice("af_nobody")


def test_a_shifted_voice_has_the_same_pace_and_another_pitch():
    voice, higher = open_voice("joe"), open_voice("joe@3")
    plain, shifted = (speak_styled(item, "We meet at noon.", STYLES["plain"], 0) for item in (voice, higher))
    assert len(shifted) == pytest.approx(len(plain), rel=0.1)
    assert higher.pitch == pytest.approx(voice.pitch * 2**0.25)
    assert higher.name != voice.name


@pytest.mark.slow
def test_it_is_prepared_like_any_corpus(tmp_path):
    corpus = OpenEnglishConfig(
        clips={"train": 3, "validation": 1, "test": 2},
        tag_rate=1.0,
        style_rate=1.0,
        slow_voices=0.0,
        held_out_voices=0.0,
    )
    config = DataConfig(root=str(tmp_path), name="open", corpus="open_english", open_english=corpus)
    data = open_prepared(prepare(config, None))
    source = OpenEnglishSource(corpus)
    units = {unit.id: unit for unit in source.units()}
    assert {split: len(rows) for split, rows in data.items()} == corpus.clips
    for row in (row for rows in data.values() for row in rows):
        [clip] = source.read(units[row["id"]], Tally())
        assert row["script"] == units[row["id"]].content.script.render()
        assert [turn["voice"] for turn in row["turns"]] == [turn.voice for turn in clip.turns]
        assert len(row["nonverbals"]) == len(row["turns"])
        assert all(turn["emotions"] for turn in row["turns"])
        assert row["seconds"] == pytest.approx(clip.seconds, abs=1e-3)
