"""Other benchmarks' scores on fixed strings; the expected values are those of their own code."""

import pytest

from dia.evaluation.compatibility import (
    ErrorCount,
    SuperbenchClip,
    ZipVoiceWordErrors,
    seed_tts_errors,
    seed_tts_text,
    seed_tts_wer,
    superbench,
    zipvoice_cp_errors,
    zipvoice_errors,
    zipvoice_text,
)
from dia.evaluation.metrics.protocol import ClipScore
from dia.evaluation.prompts import Prompt
from dia.evaluation.shared_models import SharedModels


@pytest.mark.parametrize(
    "text, seed_tts, zipvoice",
    [
        ("Hello, World! It's (laughs) 50.", "hello world it's laughs 50", "hello world it's 50"),
        ("[S1] Yes.  [S2] No—never", "s1 yes s2 nonever", "yes nonever"),
        ("a  ,  b", "a  b", "a b"),
        ("“Quoted” <x> don\u2019t…", "quoted x dont", "quoted dont"),
    ],
)
def test_texts(text, seed_tts, zipvoice):
    assert (seed_tts_text(text), zipvoice_text(text)) == (seed_tts, zipvoice)


def test_seed_tts_counts_numbers_and_tags_as_words_and_takes_the_mean():
    assert seed_tts_errors("I have fifty.", "I have 50") == ErrorCount(1, 3)
    assert seed_tts_errors("No. (laughs)", "no") == ErrorCount(1, 2)
    assert seed_tts_wer([("one two", "one"), ("one two three", "one two three")]) == 25.0
    assert seed_tts_wer([("one two three", "one two four")] * 3) == 33.333


def test_a_reference_without_words_is_refused():
    with pytest.raises(ValueError, match="no words"):
        seed_tts_errors("...", "hello")


TRUTH = "[S1] a b [S2] c d [S1] e f"


@pytest.mark.parametrize(
    "hypothesis, rate",
    [
        ("[S1] a b [S2] c d [S1] e f", 0.0),
        ("[S2] a b [S1] c d [S2] e f", 0.0),
        ("[S1] a b [S1] c d [S1] e f", 0.0),  # whatever the labels say, pieces alternate
        ("[S1] a b c [S2] d [S1] e f", 0.333),  # a word at the boundary goes to the other voice
        ("[S1] a b c d e f", 0.667),
        ("", 1.0),
    ],
)
def test_zipvoice_cpwer(hypothesis, rate):
    assert zipvoice_cp_errors(TRUTH, hypothesis).rate == pytest.approx(rate, abs=5e-4)


def test_a_label_that_is_not_repeated_flips_what_follows():
    """Two turns of S1 that follow each other come back as one: standard cpWER is 0."""
    truth = "[S1] a [S1] b [S2] c"
    assert zipvoice_cp_errors(truth, "[S1] a b [S2] c").rate == pytest.approx(2 / 3)


def test_zipvoice_wer_ignores_the_speaker():
    assert zipvoice_errors(TRUTH, "[S2] a b c d e") == ErrorCount(1, 6)
    clips = [
        ClipScore(Prompt(name, ""), 0, {"errors": errors, "words": words, "cp_errors": None})
        for name, errors, words in (("a", 1, 6), ("b", 0, 1))
    ]
    wer, cpwer = ZipVoiceWordErrors(SharedModels()).summarise(clips)
    assert round(100 * wer.measured.value, 2) == 14.29 and cpwer.measured is None


def test_superbench_within_two_words():
    clips = [
        SuperbenchClip(3, 5, 10),
        SuperbenchClip(3, 6, 10),
        SuperbenchClip(0, None, 8, other=1),
        SuperbenchClip(4, 4, 12),
    ]
    found = superbench(clips, references=5)
    assert found["precision"] == 0.5 and found["recall"] == 0.5 and found["f1"] == 0.5
    assert found["coverage"] == 0.8 and found["ca_f1"] == pytest.approx(2 * 0.5 * 0.8 / 1.3)
    assert found["tpd"] == 1.0 and found["ntd"] == pytest.approx(0.1)  # 3 words off does not count at all
    assert set(superbench([], references=5).values()) == {0.0}
