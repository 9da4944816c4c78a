"""Voice identification on invented embeddings; tests/evaluation/test_constructed.py has real voices."""

import json

import numpy as np
import pytest

from dia.evaluation.metrics.identity import VoiceIdentification
from dia.evaluation.metrics.protocol import ClipScore
from dia.evaluation.prompts import Prompt
from tests.evaluation.metrics.clips import results_by_name

VOICES = {name: np.eye(8)[place] for place, name in enumerate(("ann", "bob", "cid", "dee"))}


def score(number, **spoken_by):
    """A clip whose speakers have the prompts of these voices and sound like others."""
    values = {
        "names": list(spoken_by),
        "prompts": [VOICES[name].tolist() for name in spoken_by],
        "spoken": [(0.9 * VOICES[other] + 0.1).tolist() for other in spoken_by.values()],
    }
    return ClipScore(Prompt(f"p{number}", "[S1] Yes. [S2] No."), 0, json.loads(json.dumps(values)))


def identified(clips):
    return results_by_name(VoiceIdentification(None).summarise(clips))["voice_identified"]


def test_the_share_of_voices_that_are_nearest_to_their_prompt():
    clips = [score(0, ann="ann", bob="bob"), score(1, cid="dee", dee="dee"), score(2, ann="cid")]
    result = identified(clips)
    assert result.measured.value == pytest.approx(3 / 5)
    assert result.detail["voices"] == 4
    assert result.detail["confusion"] == {
        "ann": {"ann": 1, "cid": 1},
        "bob": {"bob": 1},
        "cid": {"dee": 1},
        "dee": {"dee": 1},
    }


def test_a_missing_take_has_nobodys_voice():
    clips = [score(0, ann="ann", bob="bob"), score(1, cid="cid")]
    missing = VoiceIdentification(None).worst_values(Prompt("p2", "[S1] Yes."))
    result = identified([*clips, ClipScore(Prompt("p2", "[S1] Yes."), 0, missing)])
    assert result.measured.value == pytest.approx(3 / 4) and result.detail["voices"] == 3


def test_two_voices_are_too_few():
    result = identified([score(0, ann="ann", bob="bob")])
    assert result.measured is None and "2 voices only" in str(result.estimate)
