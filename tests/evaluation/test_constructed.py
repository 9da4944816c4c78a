"""Metrics distinguish good from bad on synthetic voices: each measures the inserted fault and no other."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dia.audio.files import resample
from dia.codecs.protocol import pad_to_frames
from dia.codecs.registry import load_codec
from dia.data.sources.voices import SAMPLE_RATE, STYLES, Heart, Joe, speak_styled
from dia.dialogue import Script
from dia.evaluation.metrics.attribution import AttributedWords, PermutedSimilarity
from dia.evaluation.metrics.failures import Failures
from dia.evaluation.metrics.identity import VoiceIdentification
from dia.evaluation.metrics.nonverbals import NonverbalAdherence
from dia.evaluation.metrics.prosody import Arousal, Prosody
from dia.evaluation.metrics.protocol import ClipScore, Context
from dia.evaluation.metrics.quality import PredictedQuality
from dia.evaluation.metrics.speakers import SpeakerSimilarity
from dia.evaluation.metrics.turns import TurnAccuracy
from dia.evaluation.metrics.words import WordErrorRate
from dia.evaluation.not_measured import NotMeasured
from dia.evaluation.prompts import Prompt
from dia.evaluation.shared_models import SharedModels
from dia.judges.events import Calibration, DetectorUnavailable, EventDetector
from dia.judges.quality import DistillMos, DnsMos
from dia.judges.recording import Recording

TEXTS = (
    "The weather is lovely today, and we are going to the park.",
    "Then we had better take something to eat.",
    "I will bring some bread and a bottle of water.",
    "And I will ask my sister whether she wants to come.",
)
SCRIPT = " ".join(f"[S{1 + place % 2}] {text}" for place, text in enumerate(TEXTS))
GAP = 0.3


@pytest.fixture(scope="module")
def models():
    return SharedModels()


@pytest.fixture(scope="module")
def spoken():
    """Every text by both voices."""
    return {
        name: [speak_styled(voice, text, STYLES["plain"], 0) for text in TEXTS]
        for name, voice in ((1, Heart()), (2, Joe()))
    }


def dialogue(spoken, order, times=False):
    """A dialogue of the voices of ``order``, a turn each; with its turn times where asked."""
    parts, known, at = [], [], 0.0
    for place, name in enumerate(order):
        waveform = spoken[name][place]
        parts += [waveform, np.zeros(int(GAP * SAMPLE_RATE), np.float32)]
        known.append((at, at + len(waveform) / SAMPLE_RATE))
        at += (len(waveform) + int(GAP * SAMPLE_RATE)) / SAMPLE_RATE
    return recording(np.concatenate(parts), tuple(known) if times else None)


def recording(waveform, times=None, script=SCRIPT, rate=SAMPLE_RATE):
    return Recording("p", "s", Script.parse(script), waveform.astype(np.float32), rate, turn_times=times)


@pytest.fixture(scope="module")
def context(spoken):
    truth = dialogue(spoken, (1, 2, 1, 2), times=True)
    return Context(Prompt("p", SCRIPT), (truth,), truth)


def values_of(metric, made, context):
    """Return the results of one clip by name, None where not measured."""
    rows = metric.summarise([ClipScore.of(context.prompt, 0, metric.measure(made, context))])
    return {row.name: row.measured.value if row.measured else None for row in rows}


def test_truth_over_codec_over_noise(spoken, models):
    script, codec = f"[S1] {TEXTS[0]} [S2] {TEXTS[1]}", load_codec("codec_nano")
    made = dialogue(spoken, (1, 2), times=True)
    truth = recording(made.waveform, script=script)
    context = Context(Prompt("p", script), (recording(made.waveform, made.turn_times, script),), truth)
    with torch.inference_mode():
        waveform_BL = torch.from_numpy(resample(truth.waveform, SAMPLE_RATE, codec.sample_rate))[None]
        coded = codec.decode(codec.encode(pad_to_frames(waveform_BL, codec.hop)))[0].cpu().numpy()
    noise = np.random.default_rng(0).standard_normal(len(truth.waveform))
    clips = [
        truth,
        recording(coded, script=script, rate=codec.sample_rate),
        recording(truth.waveform + 0.15 * noise, script=script),
    ]
    judges = [
        (PredictedQuality(DistillMos()), "mos"),
        (PredictedQuality(DnsMos(), "dnsmos", ("overall",)), "dnsmos_overall"),
        (SpeakerSimilarity(models), "similarity"),
    ]
    for metric, name in judges:
        best, middle, worst = (values_of(metric, clip, context)[name] for clip in clips)
        assert best > middle > worst, name
    rates = [values_of(WordErrorRate(models, models.recogniser), clip, context)["wer"] for clip in clips]
    assert rates[0] <= rates[1] < rates[2]


def test_swapped_speakers_lower_turn_accuracy_and_not_the_word_accuracy(spoken, models, context):
    right, swapped = dialogue(spoken, (1, 2, 1, 2)), dialogue(spoken, (2, 1, 2, 1))
    once = dialogue(spoken, (1, 2, 1, 1))
    found = [values_of(TurnAccuracy(models), clip, context) for clip in (right, once, swapped)]
    assert [made["turn_accuracy"] for made in found] == [1, 0.75, 0]
    assert [made["voice_swaps"] for made in found] == [0, 1, 1] and all(
        made["turns_found"] == 1 for made in found
    )
    voices = [
        values_of(SpeakerSimilarity(models), clip, context)["similarity_margin"]
        for clip in (right, once, swapped)
    ]
    assert voices[0] > voices[1] > 0 > voices[2]
    words = WordErrorRate(models, models.recogniser)
    assert max(values_of(words, clip, context)["wer"] for clip in (right, once, swapped)) < 0.1


def test_turns_of_a_system_without_known_voices_are_compared_with_its_own(spoken, models):
    alone = Context(Prompt("p", SCRIPT))
    right, swapped, once = (
        values_of(TurnAccuracy(models), dialogue(spoken, order), alone)
        for order in ((1, 2, 1, 2), (2, 1, 2, 1), (1, 2, 1, 1))
    )
    assert right["turn_accuracy_own"] == swapped["turn_accuracy_own"] == 1 > once["turn_accuracy_own"]
    assert right["turn_accuracy"] is None and right["turns_found"] == 1


def test_a_voice_prompt_of_two_speakers_needs_no_times(spoken, models):
    prompt = dialogue(spoken, (1, 2, 1, 2))
    given = Context(Prompt("p", SCRIPT), (prompt,))
    found = [
        values_of(TurnAccuracy(models), dialogue(spoken, order), given)
        for order in ((1, 2, 1, 2), (2, 1, 2, 1))
    ]
    assert [made["turn_accuracy"] for made in found] == [1, 0]


def test_cpwer_ignores_the_names_of_voices_but_not_their_number(spoken, models, context):
    right, swapped, alone = (dialogue(spoken, order) for order in ((1, 2, 1, 2), (2, 1, 2, 1), (1, 1, 1, 1)))
    metric = AttributedWords(models)
    assert (
        values_of(metric, right, context)["cpwer"] < 0.15
        and values_of(metric, swapped, context)["cpwer"] < 0.15
    )
    one = values_of(metric, alone, context)
    assert one["cpwer"] > 0.5 and one["voices_wrong"] == 1
    similarity = PermutedSimilarity(models)
    assert values_of(similarity, right, context)["cpsim"] > 0.9
    assert values_of(similarity, alone, context) == {"cpsim": None, "cpsim_failed": 1}
    separation = [
        values_of(SpeakerSimilarity(models), clip, context)["similarity_separation"]
        for clip in (right, alone)
    ]
    assert separation[0] > 0.3 > separation[1] + 0.1


def test_a_cut_end_is_reported_as_truncation(spoken, models, context):
    whole = dialogue(spoken, (1, 2, 1, 2))
    cut = recording(whole.waveform[: int(0.6 * len(whole.waveform))])
    metric = Failures(models)
    assert values_of(metric, whole, context)["failed"] == 0
    found = values_of(metric, cut, context)
    assert (
        found["failed/truncated"] == 1
        and found["failed/too_fast"] == 0
        and found["duration_ratio"] == pytest.approx(0.6, abs=0.02)
    )


def test_a_faster_voice_has_a_higher_rate_and_silence_is_not_measured(spoken, models, context):
    whole = dialogue(spoken, (1, 2, 1, 2))
    hurried = recording(whole.waveform, rate=int(1.3 * SAMPLE_RATE))
    slow, fast = (values_of(Prosody(models), clip, context) for clip in (whole, hurried))
    assert (
        fast["words_per_second"] > 1.15 * slow["words_per_second"]
        and fast["pitch_hertz"] > 1.1 * slow["pitch_hertz"]
    )
    silent = values_of(Prosody(models), recording(np.zeros(SAMPLE_RATE)), context)
    assert set(silent.values()) == {None}


def test_a_removed_sound_lowers_recall_and_an_added_one_raises_false_insertions(spoken, models, context):
    """The real detector, on the one tag whose sound is easy: a beep between two sentences."""
    try:
        detector = EventDetector()
    except DetectorUnavailable as missing:
        pytest.skip(str(missing))
    beep = 0.3 * np.sin(2 * np.pi * 1000 * np.arange(SAMPLE_RATE) / SAMPLE_RATE)
    with_beep = np.concatenate([spoken[1][0], beep, spoken[1][2]])
    without = np.concatenate([spoken[1][0], np.zeros(SAMPLE_RATE // 4), spoken[1][2]])
    metric = NonverbalAdherence(models, {"beep": Calibration(0.1, 1.0, 1.0, 20, 20)}, detector)
    tagged, plain = f"[S1] {TEXTS[0]} (beep) {TEXTS[2]}", f"[S1] {TEXTS[0]} {TEXTS[2]}"

    def clips(*waveforms):
        given = zip((tagged, plain), ("tag", "plain"), waveforms, strict=True)
        return [
            ClipScore.of(
                Prompt(name, script, group="g", version=name, tag="beep"),
                0,
                metric.measure(recording(waveform, script=script), context),
            )
            for script, name, waveform in given
        ]

    def rates(*waveforms):
        rows = {row.name: row.estimate for row in metric.summarise(clips(*waveforms))}
        return tuple(
            rows[f"{what}/beep"].value for what in ("tag_recall", "false_insertion", "net_tag_effect")
        )

    assert rates(with_beep, without) == (1, 0, 1)
    assert rates(without, without) == (0, 0, 0)
    assert rates(with_beep, with_beep) == (1, 1, 0)
    rows = {row.name: row.estimate for row in metric.summarise(clips(with_beep, without))}
    assert rows["slot_error_absolute"].value <= 1 and rows["slot_hit_1"].value == 1


def test_more_arousal_is_measured_as_more(models):
    metric, joe = Arousal(models), Joe()

    def agreement(high, low):
        clips = []
        for text in TEXTS:
            for level, style in (("high", high), ("low", low)):
                made = recording(speak_styled(joe, text, STYLES[style], 0), script=f"[S1] {text}")
                prompt = Prompt(f"{text}-{level}", f"[S1] {text}", group=text, arousal=level)
                clips.append(ClipScore.of(prompt, 0, metric.measure(made, Context(prompt))))
        return {row.name: row.estimate.value for row in metric.summarise(clips)}["arousal_agreement"]

    assert agreement("activated", "calm") == 1 and agreement("calm", "activated") == 0
    assert agreement("plain", "plain") == 0.5


def test_a_speaker_has_the_voice_of_the_prompt_that_names_it(spoken, models):
    metric, prompt = VoiceIdentification(models), Prompt("p", SCRIPT)
    voices = dialogue(spoken, (1, 2, 1, 2), times=True)
    assert isinstance(metric.measure(voices, Context(prompt, (voices,))), NotMeasured)  # without names
    named = replace(voices, voice_names=("heart", "joe", "heart", "joe"))
    for order, nearest in (((1, 2, 1, 2), [0, 1]), ((2, 1, 2, 1), [1, 0])):
        values = metric.measure(dialogue(spoken, order), Context(prompt, (named,)))
        assert values["names"] == ["heart", "joe"]
        similarity = np.asarray(values["spoken"]) @ np.asarray(values["prompts"]).T
        assert similarity.argmax(1).tolist() == nearest and similarity.max(1).min() > 0.8
