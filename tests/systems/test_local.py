"""Systems that run on this machine, with tiny random weights in the layouts of the real checkpoints."""

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
from dia.systems.csm import CsmSystem
from dia.systems.declaration import parse_declaration
from dia.systems.orpheus import OrpheusSystem, load_snac, parse_codes
from dia.systems.protocol import RequestFailed
from dia.systems.record import record
from dia.systems.script_rendering import RenderedTurn
from tests.systems.conftest import load_declared, read_rows
from tests.systems.tiny_models import CODES, save_csm, save_dia, save_orpheus, save_snac

TURNS = (RenderedTurn(1, "Hello."), RenderedTurn(2, "Oh, hi."), RenderedTurn(1, "Bye."))


def recorded(content, suite, tmp_path, takes=2):
    return record(
        RecordConfig(system=content, suite=suite, out=str(tmp_path / "out"), takes=takes), lambda _: None
    )


def waveforms_of(done):
    return [
        soundfile.read(done.folder / part["raw_path"])
        for row in read_rows(done.folder / "outputs.jsonl")
        for part in row["parts"]
    ]


def test_csm_generates_each_turn_with_its_previous_audio_as_context(tmp_path):
    save_csm(tmp_path / "csm")
    system = CsmSystem(
        parse_declaration(
            load_declared("sesame_csm", model=str(tmp_path / "csm"), settings={"max_new_tokens": 4})
        )
    )
    processor, network = system.model
    seen = []

    class RecordingProcessor:
        feature_extractor = processor.feature_extractor

        def apply_chat_template(self, conversation, **keys):
            seen.append(conversation)
            return processor.apply_chat_template(conversation, **keys)

    system.model = (RecordingProcessor(), network)
    (request,) = system.build_requests("x", TURNS, take=0)
    response = system.send(request)
    assert [[message["role"] for message in conversation] for conversation in seen] == [
        ["0"],
        ["0", "1"],
        ["0", "1", "0"],
    ]
    # text and audio, but only text for the turn to generate
    assert [len(message["content"]) for message in seen[2]] == [2, 2, 1]
    before = [message["content"][1]["path"] for message in seen[2][:2]]
    path = tmp_path / "sound.wav"
    path.write_bytes(response.audio)
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
            load_declared(
                "sesame_csm", model=str(tmp_path / "csm"), settings={"max_new_tokens": 6, "do_sample": True}
            ),
        ),
        (
            "dia_transformers",
            load_declared("dia_transformers", model=str(tmp_path / "dia"), settings=settings),
        ),
    ):
        done = recorded(content, suite, tmp_path / name)
        rows = read_rows(done.folder / "outputs.jsonl")
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


def test_dia_in_transformers_receives_the_script_in_dia_s_notation(suite, tmp_path):
    content = load_declared("dia_transformers", model=str(tmp_path / "dia"), settings={"max_new_tokens": 20})
    save_dia(tmp_path / "dia")
    done = recorded(content, suite, tmp_path, takes=1)
    row = read_rows(done.folder / "outputs.jsonl")[0]
    text = "[S1] Hello there my friend. (laughs) [S2] Oh, hi! (beep) How are you?"
    assert (
        row["parts"][0]["request"]["text"] == text
        and row["dropped"] == ["{happy}"]
        and row["sample_rate"] == 44_100
    )


def test_orpheus_frames_the_prompt_and_decodes_the_generated_codes(suite, tmp_path):
    save_orpheus(tmp_path / "orpheus", tmp_path / "snac")
    settings = {
        "codec": str(tmp_path / "snac"),
        "max_new_tokens": 1 + 7 * 3,
        "do_sample": False,
        "repetition_penalty": 1.1,
    }
    done = recorded(
        load_declared("orpheus", model=str(tmp_path / "orpheus"), settings=settings), suite, tmp_path, takes=1
    )
    row = read_rows(done.folder / "outputs.jsonl")[0]
    assert [part["request"]["prompt"] for part in row["parts"]] == [
        "tara: Hello there my friend. <laugh>",
        "leo: Oh, hi! How are you?",
    ]
    codec = load_snac(str(tmp_path / "snac"))
    with torch.inference_mode():
        expected = codec.decode([torch.tensor([level * 3]) for level in CODES]).reshape(-1).numpy()
    for waveform, rate in waveforms_of(done):
        assert rate == 24_000 and np.array_equal(waveform.astype(np.float32), expected)


def test_orpheus_without_a_whole_frame_fails(tmp_path):
    save_orpheus(tmp_path / "orpheus", tmp_path / "snac")
    settings = {"codec": str(tmp_path / "snac"), "max_new_tokens": 5, "do_sample": False}
    system = OrpheusSystem(
        parse_declaration(load_declared("orpheus", model=str(tmp_path / "orpheus"), settings=settings))
    )
    with pytest.raises(RequestFailed) as caught:
        system.send(system.build_requests("x", TURNS, 0)[0])
    assert caught.value.kind == "no_speech" and not caught.value.retryable


CODE = st.integers(0, orpheus.BLOCK - 1)
FRAMES = st.lists(st.lists(CODE, min_size=7, max_size=7), max_size=6)


@given(FRAMES, st.lists(st.integers(0, orpheus.START_OF_SPEECH - 1), max_size=5), st.integers(0, 6))
def test_codes_are_parsed_with_any_prefix_and_any_incomplete_last_frame(frames, before, cut):
    tokens = [
        orpheus.FIRST_CODE + position * orpheus.BLOCK + code
        for frame in frames
        for position, code in enumerate(frame)
    ]
    broken = tokens[:cut]  # the start of another frame
    coarse, middle, fine = parse_codes([*before, orpheus.START_OF_SPEECH, *tokens, *broken])
    assert coarse.tolist() == [frame[0] for frame in frames]
    assert middle.tolist() == [code for frame in frames for code in (frame[1], frame[4])]
    assert fine.tolist() == [code for frame in frames for code in (frame[2], frame[3], frame[5], frame[6])]


def test_a_codec_file_that_would_run_code_is_rejected(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("run",))

    save_snac(tmp_path / "snac")
    torch.save({"x": Evil()}, tmp_path / "snac" / "pytorch_model.bin")
    with pytest.raises(pickle.UnpicklingError):
        load_snac(str(tmp_path / "snac"))


@pytest.mark.parametrize("name", ["sesame_csm", "dia_transformers", "orpheus"])
def test_a_missing_model_is_reported_before_anything_is_written(name, suite, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match=f"system {name} is not available: .*missing"):
        recorded(load_declared(name, model=str(tmp_path / "missing")), suite, tmp_path)
    assert not (tmp_path / "out").exists()
