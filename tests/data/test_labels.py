"""Labels in the text of the model, and sampling weights of rare labels."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dia.config.data import LabelsConfig
from dia.data.labels import emotion_name, partner_keys, sampling_weights, text_of
from dia.dialogue import Script
from dia.dialogue.lint import lint


def emotion(label=None, arousal=None, confidence=None):
    numbers = dict.fromkeys(("intensity", "valence", "dominance"))
    return {"label": label, "arousal": arousal, "confidence": confidence, "origin": "human", **numbers}


def row(*turns, sounds=()):
    labelled = [
        {"speaker": speaker, "voice": voice, "text": text, "start": None, "end": None, "emotions": emotions}
        for speaker, voice, text, emotions in turns
    ]
    return {
        "turns": labelled,
        "nonverbals": [{"tag": tag, "turn": turn, "char": char} for tag, turn, char in sounds],
    }


TALK = row(
    (1, "a", "I won it.", [emotion("happy")]),
    (2, "b", "No.", [emotion(arousal=-0.6)]),
    sounds=[("laughs", 0, 6)],
)


def test_labels_enter_the_text_as_the_recipe_specifies():
    rng = random.Random(0)
    wanted = {
        ("inline", "off"): "[S1] I won (laughs) it. [S2] No.",
        ("off", "off"): "[S1] I won it. [S2] No.",
        ("inline", "prefix"): "[S1] {happy} I won (laughs) it. [S2] {calm} No.",
    }
    for (nonverbals, how), text in wanted.items():
        assert text_of(TALK, LabelsConfig(nonverbals, how, emotion_dropout=0.0), rng) == text
    assert (
        text_of(TALK, LabelsConfig("inline", "prefix", emotion_dropout=1.0), rng) == wanted["inline", "off"]
    )


def test_a_speaking_style_is_parsed_and_is_no_word():
    script = Script.parse(
        "[S1] {happy} I won (laughs) it, and that is the whole of my long and happy story today, friend."
    )
    assert script.turns[0].emotion == "happy" and "happy}" not in script.words()
    assert Script.parse(script.render()) == script and not lint(script.render()).problems
    assert any(
        "is not a known emotion" in problem
        for problem in lint(script.render().replace("{happy}", "{hapy}")).warnings
    )


def test_dropout_is_per_turn():
    config = LabelsConfig("off", "prefix", emotion_dropout=0.3)
    texts = [text_of(TALK, config, random.Random(seed)) for seed in range(600)]
    happy, calm = (np.array([label in text for text in texts]) for label in ("{happy}", "{calm}"))
    assert abs(happy.mean() - 0.7) < 0.06 and abs(calm.mean() - 0.7) < 0.06
    assert abs((happy & calm).mean() - 0.49) < 0.07


def test_the_category_of_highest_confidence_labels_a_turn():
    assert emotion_name([emotion("sad", confidence=0.4), emotion("happy"), emotion(arousal=1.0)]) == "happy"
    assert [emotion_name([emotion(arousal=value)]) for value in (0.9, 0.0, -0.9)] == ["activated", "", "calm"]
    assert emotion_name([]) == ""


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([0.25, 0.5, 0.8]))
def test_tagged_and_untagged_clips_are_drawn_in_their_shares(tagged, untagged, share):
    plain, laughing = row((1, "a", "Oh.", [])), row((1, "a", "Oh.", []), sounds=[("laughs", 0, 0)])
    weights = sampling_weights([laughing] * tagged + [plain] * untagged, LabelsConfig(tagged_share=share))
    assert weights.mean() == pytest.approx(1) and weights[:tagged].sum() / weights.sum() == pytest.approx(
        share
    )


def test_balancing_draws_rare_labels_more_often():
    rows = [row((1, "a", "Oh.", []), sounds=[(tag, 0, 0)]) for tag in ["laughs"] * 16 + ["coughs"]]
    even = sampling_weights(rows, LabelsConfig(balance=1.0, tagged_share=None))
    assert even[-1] == pytest.approx(even[:16].sum())
    assert np.allclose(sampling_weights(rows, LabelsConfig(balance=0.0, tagged_share=None)), 1)


def test_a_prompt_has_the_same_voices_and_emotions():
    same, other, unknown = (row((1, voice, "Oh.", [emotion("happy")])) for voice in ("a", "b", ""))
    keys = partner_keys([same, other, unknown, same], emotions=True)
    assert keys[0] == keys[3] != keys[1] and keys[2] is None
    sad = row((1, "a", "Oh.", [emotion("sad")]))
    assert len(set(partner_keys([same, sad], emotions=True))) == 2
    assert len(set(partner_keys([same, sad], emotions=False))) == 1
    assert LabelsConfig(emotion="prompt", emotion_dropout=0.2).prompt_probability == pytest.approx(0.8)
    assert LabelsConfig(emotion="prefix", voice_prompt=0.6).prompt_probability == 0.6
