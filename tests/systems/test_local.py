"""Systems that run here, on tiny random weights in their real layouts."""

import json
import pickle

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st

from dia.config.systems import RecordConfig
from dia.errors import UserError
from dia.systems import orpheus
from dia.systems.csm import Csm
from dia.systems.declaration import declaration_of
from dia.systems.orpheus import Orpheus, codes_of, load_snac
from dia.systems.protocol import Refusal
from dia.systems.record import record
from dia.systems.script_rendering import Line
from tests.systems.conftest import declared, lines_of
from tests.systems.tiny_models import CODES, save_csm, save_dia, save_orpheus, save_snac

LINES = (Line(1, "Hello."), Line(2, "Oh, hi."), Line(1, "Bye."))


def recorded(content, suite, tmp_path, takes=2):
    return record(
        RecordConfig(system=content, suite=suite, out=str(tmp_path / "out"), takes=takes), lambda _: None
    )


def waveforms_of(done):
    return [
        soundfile.read(done.folder / part["raw_path"])
        for row in lines_of(done.folder / "outputs.jsonl")
        for part in row["parts"]
    ]


def test_csm_speaks_turn_by_turn_with_its_own_sound_as_context(tmp_path):
    save_csm(tmp_path / "csm")
    system = Csm(
        declaration_of(declared("sesame_csm", model=str(tmp_path / "csm"), settings={"max_new_tokens": 4}))
    )
    processor, network = system.model
    seen = []

    class Watched:
        feature_extractor = processor.feature_extractor

        def apply_chat_template(self, conversation, **keys):
            seen.append(conversation)
            return processor.apply_chat_template(conversation, **keys)

    system.model = (Watched(), network)
    (call,) = system.calls("x", LINES, take=0)
    answer = system.ask(call)
    assert [[message["role"] for message in conversation] for conversation in seen] == [
        ["0"],
        ["0", "1"],
        ["0", "1", "0"],
    ]
    assert [len(message["content"]) for message in seen[2]] == [
        2,
        2,
        1,
    ]  # text and sound, but what is to be spoken
    before = [message["content"][1]["path"] for message in seen[2][:2]]
    path = tmp_path / "sound.wav"
    path.write_bytes(answer.raw)
    waveform, rate = soundfile.read(path, dtype="float32")
    assert rate == 24_000 and np.array_equal(waveform[: sum(map(len, before))], np.concatenate(before))


def test_csm_and_dia_are_recorded_and_seeds_are_honoured(suite, tmp_path):
    save_csm(tmp_path / "csm")
    save_dia(tmp_path / "dia")
    settings = {
        "max_new_tokens": 24,
        "do_sample": True,
        "guidance_scale": 3.0,
        "temperature": 1.8,
        "top_k": 45,
    }
    for name, content in (
        (
            "sesame_csm",
            declared(
                "sesame_csm", model=str(tmp_path / "csm"), settings={"max_new_tokens": 6, "do_sample": True}
            ),
        ),
        ("dia_transformers", declared("dia_transformers", model=str(tmp_path / "dia"), settings=settings)),
    ):
        done = recorded(content, suite, tmp_path / name)
        rows = lines_of(done.folder / "outputs.jsonl")
        assert {row["error_kind"] for row in rows} == {""} and all(
            row["seed_honoured"] is True for row in rows
        )
        first, second = waveforms_of(done), waveforms_of(recorded(content, suite, tmp_path / f"{name}-again"))
        assert all(np.array_equal(mine[0], other[0]) for mine, other in zip(first, second, strict=True))
        by_take = {
            row["take"]: waveform
            for row, (waveform, _) in zip(rows, first, strict=True)
            if row["prompt_id"] == "hello"
        }
        assert not np.array_equal(by_take[0], by_take[1])
        session = json.loads((done.folder / "manifest.json").read_text())["sessions"][0]
        assert session["sdk_version"].startswith("transformers ") and session["state"] == "complete"


def test_dia_in_transformers_gets_the_script_as_dia_reads_it(suite, tmp_path):
    content = declared("dia_transformers", model=str(tmp_path / "dia"), settings={"max_new_tokens": 20})
    save_dia(tmp_path / "dia")
    done = recorded(content, suite, tmp_path, takes=1)
    row = lines_of(done.folder / "outputs.jsonl")[0]
    text = "[S1] Hello there my friend. (laughs) [S2] Oh, hi! (beep) How are you?"
    assert (
        row["parts"][0]["request"]["text"] == text
        and row["dropped"] == ["{happy}"]
        and row["sample_rate"] == 44_100
    )


def test_orpheus_frames_the_prompt_and_decodes_what_the_model_writes(suite, tmp_path):
    save_orpheus(tmp_path / "orpheus", tmp_path / "snac")
    settings = {
        "codec": str(tmp_path / "snac"),
        "max_new_tokens": 1 + 7 * 3,
        "do_sample": False,
        "repetition_penalty": 1.1,
    }
    done = recorded(
        declared("orpheus", model=str(tmp_path / "orpheus"), settings=settings), suite, tmp_path, takes=1
    )
    row = lines_of(done.folder / "outputs.jsonl")[0]
    assert [part["request"]["prompt"] for part in row["parts"]] == [
        "tara: Hello there my friend. <laugh>", "leo: Oh, hi! How are you?",
    ]  # fmt: skip
    codec = load_snac(str(tmp_path / "snac"))
    with torch.inference_mode():
        expected = codec.decode([torch.tensor([level * 3]) for level in CODES]).reshape(-1).numpy()
    for waveform, rate in waveforms_of(done):
        assert rate == 24_000 and np.array_equal(waveform.astype(np.float32), expected)


def test_orpheus_without_a_whole_frame_is_a_refusal(tmp_path):
    save_orpheus(tmp_path / "orpheus", tmp_path / "snac")
    settings = {"codec": str(tmp_path / "snac"), "max_new_tokens": 5, "do_sample": False}
    system = Orpheus(declaration_of(declared("orpheus", model=str(tmp_path / "orpheus"), settings=settings)))
    with pytest.raises(Refusal) as caught:
        system.ask(system.calls("x", LINES, 0)[0])
    assert caught.value.kind == "no_speech" and not caught.value.again


CODE = st.integers(0, orpheus.BLOCK - 1)
FRAMES = st.lists(st.lists(CODE, min_size=7, max_size=7), max_size=6)


@given(FRAMES, st.lists(st.integers(0, orpheus.START_OF_SPEECH - 1), max_size=5), st.integers(0, 6))
def test_codes_come_back_from_the_tokens_whatever_stands_before_and_however_the_end_is_cut(
    frames, before, cut
):
    tokens = [
        orpheus.FIRST_CODE + place * orpheus.BLOCK + code
        for frame in frames
        for place, code in enumerate(frame)
    ]
    broken = tokens[:cut]  # the beginning of one more frame
    coarse, middle, fine = codes_of([*before, orpheus.START_OF_SPEECH, *tokens, *broken])
    assert coarse.tolist() == [frame[0] for frame in frames]
    assert middle.tolist() == [code for frame in frames for code in (frame[1], frame[4])]
    assert fine.tolist() == [code for frame in frames for code in (frame[2], frame[3], frame[5], frame[6])]


def test_a_codec_file_that_would_run_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("run",))

    save_snac(tmp_path / "snac")
    torch.save({"x": Evil()}, tmp_path / "snac" / "pytorch_model.bin")
    with pytest.raises(pickle.UnpicklingError):
        load_snac(str(tmp_path / "snac"))


@pytest.mark.parametrize("name", ["sesame_csm", "dia_transformers", "orpheus"])
def test_a_model_that_is_not_here_is_told_before_anything_is_written(name, suite, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match=f"system {name} is not available here: .*missing"):
        recorded(declared(name, model=str(tmp_path / "missing")), suite, tmp_path)
    assert not (tmp_path / "out").exists()
