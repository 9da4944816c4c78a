"""Nine systems that try to cheat: the first screen of a comparison with an honest one names each of them.

The audio is made of tones: one for each voice, one for laughter. Judges that read these tones take the place
of the models, so that the logic of the scores is tested, and not the quality of a model.
"""

import zlib
from dataclasses import replace

import numpy as np
import pytest

from dia.dialogue import Script
from dia.evaluation.coverage import coverage_sentences
from dia.evaluation.metrics.failures import Failures
from dia.evaluation.metrics.nonverbals import NonverbalAdherence
from dia.evaluation.metrics.turns import TurnAccuracy
from dia.evaluation.metrics.words import WordErrorRate
from dia.evaluation.prompts import Prompt
from dia.evaluation.report import render_report
from dia.evaluation.sentences import explain
from dia.evaluation.shared_models import SharedModels
from dia.evaluation.suite_prompts import PromptItem
from dia.evaluation.suites import Suite
from dia.evaluation.takes import SystemTakes
from dia.evaluation.verdicts import main_verdict
from dia.judges.provenance import Provenance
from dia.judges.recording import Recording
from dia.judges.speakers import SpeakerEncoder
from dia.judges.transcription import RecognisedWord
from tests.evaluation.loudness import results_of, score_in_process
from tests.evaluation.metrics.clips import PERFECT

RATE, WORD_SECONDS = 16_000, 0.4
VOICES = {1: 200.0, 2: 400.0}  # hertz
LAUGH = "(laughs)"
LAUGH_HERTZ = 3000.0
MADE_OF_TONES = Provenance("tones", "1", RATE, "Apache-2.0", True)
WORDS = [
    "river",
    "window",
    "garden",
    "summer",
    "letter",
    "winter",
    "yellow",
    "basket",
    "planet",
    "bottle",
    "silver",
    "ticket",
    "castle",
    "harbour",
    "blanket",
    "market",
    "forest",
    "candle",
    "pocket",
    "jacket",
    "mirror",
    "button",
    "dinner",
    "breakfast",
    "traffic",
    "station",
    "number",
    "mountain",
    "island",
]
PRIMARY = ("wer", "failed", "turn_accuracy", "net_tag_effect", "false_insertion")
GROUPS = 16


def tone(hertz):
    times = np.arange(int(WORD_SECONDS * RATE)) / RATE
    return 0.3 * np.sin(2 * np.pi * hertz * times)


def energy(waveform, hertz):
    """The share of a waveform's energy within 50 hertz of a frequency."""
    spectrum = np.abs(np.fft.rfft(waveform)) ** 2
    near = np.abs(np.fft.rfftfreq(len(waveform), 1 / RATE) - hertz) < 50
    return float(spectrum[near].sum() / max(spectrum.sum(), 1e-9))


class ToneWords:
    """Recognises the words that were spoken with a recording; laughter has none."""

    provenance = MADE_OF_TONES

    def __init__(self):
        self.spoken = {}

    def words(self, recording):
        return self.spoken[recording.fingerprint]


class ToneVoices(SpeakerEncoder):
    provenance = MADE_OF_TONES

    def embed_waveform(self, waveform):
        embedding = np.array([energy(waveform, hertz) for hertz in VOICES.values()], np.float32)
        return embedding / max(float(np.linalg.norm(embedding)), 1e-9)


class ToneSounds:
    provenance = MADE_OF_TONES
    hop_seconds, window_seconds = 0.2, 0.975

    def windows(self, waveform):
        starts = np.arange(0, max(len(waveform) - RATE, 1), RATE // 5)
        laughs = [energy(waveform[start : start + RATE], LAUGH_HERTZ) > 0.2 for start in starts]
        scores = np.array(laughs, np.float32)
        return starts / RATE, {"laughs": scores, "coughs": 0 * scores}


RECOGNISER = ToneWords()
pytestmark = pytest.mark.slow


def speak(prompt, system, tokens):
    """A recording of (voice, word) tokens."""
    parts = [tone(LAUGH_HERTZ if word == LAUGH else VOICES[voice]) for voice, word in tokens]
    waveform = np.concatenate([*parts, np.zeros(RATE // 5)])
    seed = zlib.crc32(repr((prompt.id, tokens)).encode())
    waveform += 1e-4 * np.random.default_rng(seed).standard_normal(len(waveform))
    recording = Recording(prompt.id, system, Script.parse(prompt.script), waveform.astype(np.float32), RATE)
    RECOGNISER.spoken[recording.fingerprint] = [
        RecognisedWord(f" {word}", place * WORD_SECONDS, (place + 1) * WORD_SECONDS)
        for place, (_, word) in enumerate(tokens)
        if word != LAUGH
    ]
    return recording


def tokens_of(script):
    """The tokens of a script of two turns, with a laugh where the first ends with one."""
    return [
        (turn.speaker, word)
        for turn in Script.parse(script).turns
        for word in [*turn.text.rstrip(".").split(), *(LAUGH for _ in turn.nonverbals)]
    ]


def prompts():
    rng = np.random.default_rng(0)
    made = []
    for group in range(GROUPS):
        one, other = (" ".join(rng.choice(WORDS, 5, replace=False)) for _ in range(2))
        for version, tag in (("tag", f" {LAUGH}"), ("plain", "")):
            script = f"[S1] {one}.{tag} [S2] {other}."
            made.append(
                Prompt(f"g{group}-{version}", script, group=f"g{group}", version=version, tag="laughs")
            )
    return made


def honest(prompt, place):
    """All words and sounds; now and then a word is wrong."""
    tokens = tokens_of(prompt.script)
    return [(voice, "mistake" if place % 5 == at else word) for at, (voice, word) in enumerate(tokens)]


def laugh(tokens):
    return [*tokens, (2, LAUGH), (2, LAUGH)]


def without_laughs(tokens):
    return [token for token in tokens if token[1] != LAUGH]


VOICE_PROMPT = "[S1] castle mirror button dinner. [S2] planet summer letter window."
ONE_CLIP = [(1, word) for word in ["this", "is", "the", "only", "clip", "that", "there", "is"]]
# how each system speaks a prompt (None: not at all), and what the first screen must say
CHEATS = {
    "silence": (lambda prompt, place: [], "silence 32", ["wer", "failed", "turn_accuracy"]),
    "always laughs": (
        lambda prompt, place: laugh(honest(prompt, place)),
        "makes sounds that the script does not have in 100% of the clips",
        ["false_insertion", "net_tag_effect"],
    ),
    "reads the tag": (
        lambda prompt, place: [(v, "laughs" if w == LAUGH else w) for v, w in honest(prompt, place)],
        "reads a tag aloud in 100% of the clips",
        ["wer", "net_tag_effect"],
    ),
    "speaks twice": (lambda prompt, place: 2 * honest(prompt, place), "repeated 32", ["wer", "failed"]),
    "one clip for all": (lambda prompt, place: ONE_CLIP, "other text 32", ["wer", "failed"]),
    "no tags": (
        lambda prompt, place: without_laughs(honest(prompt, place)),
        "has all of its takes",
        ["net_tag_effect"],
    ),
    "skips the hard half": (
        lambda prompt, place: honest(prompt, place) if place < GROUPS else None,
        "16 of 32 takes are missing (left out 16)",
        ["failed"],
    ),
    "copies the prompt's sound": (
        lambda prompt, place: tokens_of(VOICE_PROMPT),
        "other text 32",
        ["wer", "failed"],
    ),
    "swaps the voices": (
        lambda prompt, place: [(3 - voice, word) for voice, word in honest(prompt, place)],
        "has a turn in the wrong voice in 100% of the clips",
        ["turn_accuracy"],
    ),
}


def takes_of(system, performance, items):
    spoken = [(item.prompt, performance(item.prompt, place)) for place, item in enumerate(items)]
    recordings = [speak(prompt, system, tokens) for prompt, tokens in spoken if tokens is not None]
    return SystemTakes(system, recordings, in_voices_of_data=True)


def compare_with_honest(performance, folder):
    items = [PromptItem(prompt) for prompt in prompts()]
    models = SharedModels(recogniser=RECOGNISER, encoder=ToneVoices())
    metrics = [
        WordErrorRate(models, RECOGNISER),
        Failures(models),
        TurnAccuracy(models),
        NonverbalAdherence(models, {"laughs": PERFECT, "coughs": PERFECT}, ToneSounds()),
    ]
    voice = speak(Prompt("voice", VOICE_PROMPT), "voice", tokens_of(VOICE_PROMPT))
    voice = replace(voice, turn_times=((0.0, 1.6), (1.6, 3.2)))
    suite = Suite("cheats", 0, 1, 1, file="cheats", primary=PRIMARY)
    takes = [takes_of("model", performance, items), takes_of("baseline", honest, items)]
    return score_in_process(suite, items, takes, metrics, (voice,), folder)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """The scores of the honest system are computed once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module", params=CHEATS)
def cheat(request, cache):
    performance, sentence, worse = CHEATS[request.param]
    return compare_with_honest(performance, cache), sentence, worse


def answer_of(result):
    return explain(main_verdict(result), result)


def test_each_is_caught_on_the_first_screen(cheat):
    result, sentence, worse = cheat
    words, coverage = answer_of(result), coverage_sentences(result)
    assert any(sentence in line for line in coverage), coverage
    assert words.answer == "model is worse than baseline."
    titles = {name: item.title for name, item in result.systems[1].metrics.items()}
    for name in worse:
        assert titles[name] in words.scores, (name, words.scores)
    page = render_report(results_of(suites=(result,)), [])
    first = [page.index(text) for text in (words.answer, words.certainty, coverage[0], "data:audio/flac")]
    assert first == sorted(first)


def test_none_is_better_in_anything(cheat):
    assert "etter" not in answer_of(cheat[0]).answer + answer_of(cheat[0]).scores


def test_an_honest_system_is_not_accused(cache):
    result = compare_with_honest(honest, cache)
    assert coverage_sentences(result) == ["Every system has all of its takes."]
    assert answer_of(result).answer == "No difference is shown between model and baseline."


def test_a_skipped_half_counts_as_the_worst_and_the_complete_case_stands_beside_it(cache):
    result = compare_with_honest(CHEATS["skips the hard half"][0], cache)
    skips, whole = (system.metrics for system in result.systems)
    assert skips["wer"].complete.measured.value == pytest.approx(whole["wer"].measured.value, abs=0.05)
    assert skips["wer"].measured.value > 0.5 and whole["wer"].complete is None
    assert skips["takes_failed"].measured.value == 0.5 == skips["failed"].measured.value
    assert skips["turn_accuracy"].measured.value == 0.5
    assert skips["turn_accuracy"].complete.measured.value == 1
    assert skips["net_tag_effect"].measured.value < whole["net_tag_effect"].measured.value - 0.5
    assert skips["false_insertion"].measured.value > 0.4
    assert skips["wer"].to_json()["complete_case"]["prompts"] == GROUPS / 2
    (words,) = [item for item in result.comparisons if item.score == "wer"]
    assert words.prompts == GROUPS and words.difference > 0.4
    assert words.complete_case.prompts == GROUPS / 2 and abs(words.complete_case.difference) < 0.05
