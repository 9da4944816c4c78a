"""Prompts: files are read back, all problems are reported, the hash depends on content alone."""

import hashlib
import json

import numpy as np
import pytest
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st

from dia.audio.files import flac_bytes, write_audio
from dia.errors import UserError
from dia.evaluation.ground_truth import language_of
from dia.evaluation.prompts import Prompt, load_prompts, prompts_sha256, suite_prompts
from dia.evaluation.suite_prompts import load_prompt_items
from dia.evaluation.suites import Suite, load_suites


def test_prompts_are_read_back_and_spacing_does_not_matter(tmp_path):
    prompts = [
        Prompt("a", "[S1] Hé."),
        Prompt("b", "[S1] (laughs)", group="g", version="A", tag="laughs", arousal="high"),
    ]
    path = tmp_path / "p.jsonl"
    path.write_text(
        '{"script": "[S1] Hé.",   "id": "a"}\n\n' + json.dumps(prompts[1].to_json()) + "\n", encoding="utf-8"
    )
    assert load_prompts(path) == prompts == suite_prompts(str(path))
    assert prompts_sha256(load_prompts(path)) == prompts_sha256(prompts)


@given(
    st.lists(st.builds(Prompt, st.text(min_size=1), st.text()), min_size=1, max_size=4), st.text(min_size=1)
)
def test_every_change_changes_the_hash(prompts, added):
    changed = [*prompts[:-1], Prompt(prompts[-1].id, prompts[-1].script + added)]
    assert prompts_sha256(prompts) != prompts_sha256(changed)
    assert prompts_sha256(prompts) != prompts_sha256([*prompts, Prompt("new", added)])


def test_the_language_of_a_prompt_is_a_code_and_english_ones_keep_their_hash(tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text('{"id": "a", "script": "[S1] Hallo.", "language": "de"}\n', encoding="utf-8")
    german = Prompt("a", "[S1] Hallo.", language="de")
    assert load_prompts(path) == [german]
    assert prompts_sha256([german]) != prompts_sha256([Prompt("a", "[S1] Hallo.")])
    english = prompts_sha256([Prompt("a", "b")])
    assert english == "af72acb217bf1e225ac0b9ed84bae446bcaf50289ecdfb238bc4b424553e2e7a"
    path.write_text('{"id": "a", "script": "[S1] Hallo.", "language": "German"}\n', encoding="utf-8")
    with pytest.raises(UserError, match="language='German'; write a code of ISO 639"):
        load_prompts(path)


def test_every_problem_is_reported_with_its_line(tmp_path):
    path = tmp_path / "p.jsonl"
    lines = [
        '{"id": "a", "script": "[S1] Hi."}',
        "{",
        "[]",
        '{"id": "b"}',
        '{"id": "c", "script": "Hi. [S2] Hi."}',
        '{"id": "d", "script": "[S1] Hi.", "colour": "red", "tag": 3}',
        '{"id": "a", "script": "[S1] Ho."}',
        '{"id": "", "script": "[S1] Hi."}',
        '{"id": "\\ud800", "script": "[S1] Hi."}',
    ]
    path.write_text("\n".join(lines))
    with pytest.raises(UserError) as caught:
        load_prompts(path)
    for part in (
        "line 2 is not valid JSON",
        "line 3 is not a JSON object",
        "line 4 lacks script",
        "line 5 has a script",
        "line 9 has a lone surrogate",
        "tag=3",
        "'a' occurs 2 times",
        "line 8 has an empty id",
    ):
        assert part in str(caught.value)


def test_an_empty_and_a_missing_file_are_errors(tmp_path):
    (tmp_path / "p.jsonl").write_text("\n")
    with pytest.raises(UserError, match="has no prompt"):
        load_prompts(tmp_path / "p.jsonl")
    with pytest.raises(UserError, match="cannot be read"):
        load_prompts(tmp_path / "missing.jsonl")
    with pytest.raises(UserError, match="nope"):
        suite_prompts("nope")


def test_ids_may_be_numbers_and_other_keys_become_columns(tmp_path, caplog):
    path = tmp_path / "p.jsonl"
    path.write_text('{"id": 7, "script": "[S1] Hi.", "source": "mine", "rank": 3, "groups": ["a"]}\n')
    (prompt,) = load_prompts(path)
    assert prompt.id == "7" and prompt.columns == {"source": "mine", "rank": 3, "groups": ["a"]}
    assert "'groups' of the prompts is not known and becomes a column; is it group?" in caplog.text
    assert "rank" not in caplog.text
    assert prompt == Prompt("7", "[S1] Hi.") and prompts_sha256([prompt]) == prompts_sha256(
        [Prompt("7", "[S1] Hi.")]
    )


def test_the_digest_of_prompts_without_voices_is_that_of_earlier_versions():
    content = (
        '{"arousal": "", "group": "", "id": "a", "licence": "x", "script": "[S1] Hé.", '
        '"tag": "", "version": ""}'
    )
    assert prompts_sha256([Prompt("a", "[S1] Hé.", "x")]) == hashlib.sha256(content.encode()).hexdigest()


def test_a_script_without_speakers_is_of_the_first_one(tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text('{"id": "a", "script": " Hi, 9 [sic] of them. "}\n{"id": "b", "script": "[S1] Hi. "}\n')
    scripts = [prompt.script for prompt in load_prompts(path)]
    assert scripts == ["[S1] Hi, 9 [sic] of them.", "[S1] Hi. "]  # a text with speakers keeps its digest


def test_transcripts_belong_to_voice_prompts(tmp_path):
    path = tmp_path / "p.jsonl"
    rows = [
        {"audio_prompt": "a.wav"},
        {"prompt_text": "Hello."},
        {"audio_prompt_2": "b.wav"},
        {"audio_prompt": "a.wav", "prompt_text_2": "Hello."},
        {"audio_prompt": "a.wav", "prompt_text": "Hello.", "audio_prompt_2": "b.wav"},
        {"audio_prompt": "a.wav", "prompt_text": "Hello. [S2] Hi."},
    ]
    lines = [json.dumps({"id": str(place), "script": "[S1] Hi."} | row) for place, row in enumerate(rows)]
    path.write_text("\n".join(lines))
    with pytest.raises(UserError) as caught:
        load_prompts(path)
    for part in (
        "line 2 has prompt_text,",
        "line 3 has audio_prompt_2",
        "line 4 has prompt_text_2,",
        "line 5 has the transcript of one of two",
        "line 6 has a script that cannot be read",
    ):
        assert part in str(caught.value)
    assert "line 1" not in str(caught.value)


def test_voice_prompts_are_read_from_the_folder_of_the_file_and_from_no_other(tmp_path):
    path, waveform = tmp_path / "suite" / "p.jsonl", np.full(8_000, 0.1, dtype=np.float32)
    path.parent.mkdir()
    for place in (path.parent, tmp_path):
        write_audio(place / "anna.wav", waveform, 16_000)

    def write(audio):
        path.write_text(
            json.dumps({"id": "a", "script": "[S1] Hi.", "audio_prompt": audio, "prompt_text": "Hello."})
        )
        return load_prompt_items(load_suites(str(path))[0], None)

    voice = write("anna.wav")[0].voice
    assert (
        voice.seconds == 0.5 and voice.script.render() == "[S1] Hello." and voice.turn_times == ((0.0, 0.5),)
    )
    line = {"id": "a", "script": "Hi.", "audio_prompt": "anna.wav"}
    path.write_text(json.dumps(line))  # demo pages give no transcript; similarity needs none
    (item,) = load_prompt_items(load_suites(str(path))[0], None)
    assert item.voice.turn_times == ((0.0, 0.5),) and not item.voice.script.words()
    write_audio(path.parent / "ben.wav", waveform, 8_000)
    path.write_text(
        json.dumps(line | {"prompt_text": "Hello.", "audio_prompt_2": "ben.wav", "prompt_text_2": "Hi."})
    )
    (item,) = load_prompt_items(load_suites(str(path))[0], None)
    assert item.voice.script.render() == "[S1] Hello. [S2] Hi." and item.voice.seconds == 1.5
    assert item.voice.turn_times == ((0.0, 0.5), (0.5, 1.5)) and item.voice.sample_rate == 16_000
    for audio, problem in (("../anna.wav", "anna.wav"), ("/etc/passwd", "passwd"), ("none.wav", "none.wav")):
        with pytest.raises(UserError, match=problem):
            write(audio)


def test_prompts_of_prepared_clips_have_the_language_that_the_corpus_declares():
    assert language_of("smiip_nv") == "zh" and language_of("ravdess") == language_of("demo") == "en"
    row = {"id": "a", "script": "[S1] Hi.", "licence": "any", "turns": []}
    waveform = {"audio": {"bytes": flac_bytes(np.zeros(800, np.float32), 8000)}}
    rows = [row | waveform | {"source": source} for source in ("smiip_nv", "my_corpus")]
    suite = Suite("s", 0, 1, 0, split="test")
    items = load_prompt_items(suite, {"test": Dataset.from_list(rows)})
    assert [item.prompt.language for item in items] == ["zh", "en"]
    assert [item.reference.language for item in items] == ["zh", "en"]
