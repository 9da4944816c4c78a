"""Voice prompts from a data set whose speakers have many voices."""

import numpy as np
import pytest
from datasets import Dataset, DatasetDict

from dia.audio.files import flac_bytes
from dia.evaluation.prompt_clips import has_many_voices, prompt_clips
from dia.evaluation.suite_prompts import NoPrompts, load_prompt_items
from dia.evaluation.suites import load_suites


def row(name, voices, seconds=3.0, sounds=()):
    turns = [
        {"speaker": place, "voice": voice, "start": place - 1.0, "end": seconds, "text": "Yes."}
        for place, voice in enumerate(voices, 1)
    ]
    return {
        "id": name,
        "source": "mine",
        "script": " ".join(f"[S{turn['speaker']}] Yes." for turn in turns),
        "licence": "CC0-1.0",
        "turns": turns,
        "nonverbals": [{"tag": tag} for tag in sounds],
        "audio": {"bytes": flac_bytes(np.zeros(int(8_000 * seconds), np.float32), 8_000), "path": None},
    }


def test_the_prompt_is_another_clip_of_the_same_voices_without_sounds_near_five_seconds():
    rows = [
        row("a", ("ann", "bob")),
        row("b", ("bob", "ann")),
        row("c", ("ann", "bob"), 5.0, ["laughs"]),
        row("d", ("ann", "bob"), 9.0),
        row("e", ("ann", "bob"), 5.5),
        row("f", ("",)),
        row("g", ("",)),
        row("h", ("cid",)),
    ]
    assert prompt_clips(rows) == {0: 4, 2: 4, 3: 4, 4: 0}


def test_a_speaker_with_one_voice_in_all_clips_needs_no_prompt():
    assert not has_many_voices([row("a", ("ann", "bob")), row("b", ("ann",)), row("c", ("",))])
    assert has_many_voices([row("a", ("ann", "bob")), row("b", ("bob",))])


def test_the_prompts_of_a_split_are_spoken_in_the_voices_of_other_clips():
    rows = [row("a", ("ann", "bob")), row("b", ("ann", "bob"), 4.0), row("c", ("cid",))]
    (suite,) = load_suites("cloning")
    items = load_prompt_items(suite, DatasetDict({"test": Dataset.from_list(rows)}))
    assert [(item.prompt.id, item.voice.prompt_id) for item in items] == [("a", "b"), ("b", "a")]
    assert items[0].voice.voice_names == ("ann", "bob") and items[0].reference.voice_names == ()
    with pytest.raises(NoPrompts, match="recordings of the same voices"):
        load_prompt_items(suite, DatasetDict({"test": Dataset.from_list(rows[2:])}))
    silent = [one | {"audio": {"bytes": None, "path": None}} for one in rows]
    with pytest.raises(NoPrompts, match="recordings of the same voices"):
        load_prompt_items(suite, DatasetDict({"test": Dataset.from_list(silent)}))
    (held_out,) = load_suites("held_out")
    unprompted = load_prompt_items(held_out, DatasetDict({"test": Dataset.from_list(rows)}))
    assert [item.voice for item in unprompted] == [None] * 3
