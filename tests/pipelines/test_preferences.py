"""Preference data sets from a table, from the votes of listeners, and from judged takes."""

import json

import numpy as np
import pytest
import soundfile
import torch

from dia.checkpoint import CodecReference, save_checkpoint
from dia.codecs.registry import load_codec
from dia.config.choices import TooLong
from dia.config.data import DataConfig
from dia.config.engine import EngineConfig
from dia.config.preference_data import PreferenceDataConfig
from dia.config.rewards import RewardConfig
from dia.data.integrity import code_problems
from dia.data.prepared import open_prepared, read_card
from dia.errors import UserError
from dia.model import Dia
from dia.network import DecoderConfig, DiaConfig, DiaNetwork, EncoderConfig
from dia.pipelines.prepare_data import folder_of_request, prepare
from tests.listening_test.recorded_runs import record
from tests.listening_test.test_answers import answer, key_path, prefers, save  # noqa: F401  # a fixture
from tests.tiny_world import TinyWorld


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return TinyWorld(tmp_path_factory.mktemp("tiny"))


def config_of(folder, **values):
    return DataConfig(
        corpus="preferences",
        name="pairs",
        root=str(folder / "prepared"),
        held_out=values.pop("held_out", 0.2),
        preferences=PreferenceDataConfig(**values),
    )


def table(folder, *lines, rate=16_000):
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    for name in ("a.wav", "b.wav", "voice.wav"):
        soundfile.write(folder / name, 0.1 * rng.standard_normal(rate), rate)
    path = folder / "pairs.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)) + "\n")
    return str(path)


PAIR = {"script": "[S1] Hello there. (laughs) [S2] Hello.", "chosen": "a.wav", "rejected": "b.wav"}


def test_a_table_becomes_a_data_set(world, tmp_path):
    lines = [
        {**PAIR, "id": "one", "margin": 2},
        {**PAIR, "id": "two", "voice": "voice.wav", "voice_script": "Before that.", "split": "validation"},
        {"script": "No speaker.", "chosen": "b.wav", "rejected": "a.wav", "licence": "CC0"},
    ]
    config = config_of(
        tmp_path, origin="table", table=table(tmp_path / "t", *lines, rate=24_000), held_out=0.0
    )
    codec = load_codec(str(world.codec))
    folder = prepare(config, codec)
    assert folder == folder_of_request(config, codec) == prepare(config, codec)
    splits = open_prepared(folder)
    train, validation = splits["train"], splits["validation"]
    assert train["id"] == ["one", "pair-3"] and train["margin"] == [2.0, 1.0]
    assert train["script"][1] == "[S1] No speaker." and train["licence"][1] == "CC0"
    assert [turn["speaker"] for turn in train["turns"][0]] == [1, 2]
    assert validation["voice_script"] == ["[S1] Before that."] and len(validation["voice_codes"][0])
    assert train["codes"][0] == train["rejected_codes"][1] != train["codes"][1]
    assert not code_problems(folder, codec.channels, codec.codebook_size)
    assert code_problems(folder, codec.channels, 1)
    page = (folder / "page.html").read_text()
    assert page.count("Rejected take") >= 2
    assert read_card(folder)["figures"]["clips"] == {"train": 2, "validation": 1}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"script": "[S1] Hi.", "chosen": "a.wav"}, "line 1 lacks rejected"),
        ({**PAIR, "chosen": "../../etc/passwd"}, "is not a file inside"),
        ({**PAIR, "chosen": "gone.wav"}, "there is no audio file gone.wav"),
        ({**PAIR, "margin": "high"}, "has margin='high' of another type"),
        ({**PAIR, "split": "test"}, "has split='test'"),
        ({**PAIR, "voice": "voice.wav"}, "must have both voice and voice_script"),
        (["no object"], "line 1 is not a JSON object"),
    ],
)
def test_a_wrong_table_is_refused(world, tmp_path, line, message):
    config = config_of(tmp_path, origin="table", table=table(tmp_path / "t", line))
    with pytest.raises(UserError, match=message):
        prepare(config, load_codec(str(world.codec)))
    assert not (tmp_path / "prepared").exists()


def test_all_lines_of_a_wrong_table_are_reported(world, tmp_path):
    lines = [
        {**PAIR, "id": "one"},
        {**PAIR, "id": "one"},
        {"script": "[S1] Hi."},
        {**PAIR, "chosen": "x.wav"},
    ]
    config = config_of(tmp_path, origin="table", table=table(tmp_path / "t", *lines))
    with pytest.raises(UserError) as caught:
        prepare(config, load_codec(str(world.codec)))
    for part in ("4 problems", "line 2 repeats the id 'one'", "line 3 lacks chosen", "no audio file x.wav"):
        assert part in str(caught.value)


def test_votes_become_pairs_of_the_preferred_and_the_other_take(world, key_path, tmp_path):  # noqa: F811
    files = save(tmp_path, *(answer(key_path, number, prefers("b")) for number in (1, 2, 3)))
    runs = [str(key_path.parent / name) for name in ("a", "b")]
    config = config_of(tmp_path, origin="votes", votes=files, key=str(key_path), runs=runs, held_out=0.0)
    folder = prepare(config, load_codec(str(world.codec)))
    rows = open_prepared(folder)["train"]
    assert sorted(rows["prompt_id"]) == ["p1", "p2", "p3"]
    assert rows["margin"] == [1.0] * 3 and all("3 votes" in origin for origin in rows["origin"])
    assert all(name.endswith("-b-a") for name in rows["id"])


def test_ties_and_opposite_votes_are_no_pairs(world, key_path, tmp_path):  # noqa: F811
    files = save(tmp_path, answer(key_path, 1, prefers("a")), answer(key_path, 2, prefers("b")))
    runs = [str(key_path.parent / name) for name in ("a", "b")]
    config = config_of(tmp_path, origin="votes", votes=files, key=str(key_path), runs=runs)
    with pytest.raises(UserError, match=r"no pair could be formed.*pairs: ties 3"):
        prepare(config, load_codec(str(world.codec)))


def test_other_runs_than_those_of_the_test_are_refused(world, key_path, tmp_path):  # noqa: F811
    files = save(tmp_path, answer(key_path, 1, prefers("a")))
    other = record(tmp_path / "other", "b", ["p1"], pitch=90)
    runs = [str(key_path.parent / "a"), str(other)]
    config = config_of(tmp_path, origin="votes", votes=files, key=str(key_path), runs=runs)
    with pytest.raises(UserError, match="lacks the recordings of b"):
        prepare(config, load_codec(str(world.codec)))


def test_pairs_longer_than_the_model_takes_are_left_out(world, tmp_path):
    voice = {"voice": "voice.wav", "voice_script": "Before that."}
    lines = [
        {**PAIR, "id": "one"},
        {**PAIR, "id": "two", **voice},
        {**PAIR, "id": "three", "script": "[S1] Hi."},
    ]
    config = config_of(tmp_path, origin="table", table=table(tmp_path / "t", *lines), held_out=0.0)
    codec = load_codec(str(world.codec))
    frames = len(open_prepared(prepare(config, codec))["train"][0]["codes"])
    config.too_long, config.max_frames = TooLong.skip, frames
    rows = open_prepared(prepare(config, codec))
    assert rows["train"]["id"] == ["one", "three"]  # not with the voice prompt before
    config.max_text_bytes = 12
    folder = prepare(config, codec)
    assert open_prepared(folder)["train"]["id"] == ["three"]
    assert read_card(folder)["figures"]["counts"]["pairs: longer than the model takes"] == 2
    config.max_frames = frames - 1
    with pytest.raises(UserError, match=r"no pair could be formed.*longer than the model takes 3"):
        prepare(config, codec)


SMALL = DiaConfig(
    EncoderConfig(layers=1, hidden_size=16, intermediate_size=32, heads=2, head_dim=8),
    DecoderConfig(
        layers=1,
        hidden_size=32,
        intermediate_size=64,
        heads=2,
        key_value_heads=1,
        head_dim=16,
        cross_heads=2,
        cross_head_dim=16,
        codebook_size=512,
        max_positions=48,
    ),
    delays=[0, 1, 2, 3, 4, 5, 6, 7],
)


@pytest.fixture(scope="module")
def codec():
    return load_codec("codec_nano")


@pytest.fixture(scope="module")
def checkpoint(codec, tmp_path_factory):
    """Random weights that speak noise through codec_nano."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("checkpoint") / "small"
    save_checkpoint(DiaNetwork(SMALL), folder, CodecReference("codec_nano", codec.fingerprint))
    return folder


@pytest.fixture(scope="module")
def scripts(world, codec, tmp_path_factory):
    """A prepared data set of the tiny world, with audio."""
    config = DataConfig(
        corpus="local", name="tiny", path=str(world.corpus), root=str(tmp_path_factory.mktemp("scripts"))
    )
    return prepare(config, codec)


def judged(checkpoint, scripts, folder, **values):
    given = {
        "origin": "takes",
        "ckpt": str(checkpoint),
        "scripts": str(scripts),
        "count": {"train": 3, "validation": 2},
        "takes": 3,
        "deviations": 0.0,
        "cache": str(folder / "cache"),
        "rewards": RewardConfig({"mos": 1.0}, []),
    }
    return config_of(folder, **given | values)


def test_judged_takes_become_pairs_whose_codes_the_model_drew(checkpoint, codec, scripts, tmp_path):
    folder = prepare(judged(checkpoint, scripts, tmp_path), codec)
    rows = open_prepared(folder)["train"]
    assert len(rows) == 3 and len(set(rows["prompt_id"])) == 3
    dia = Dia.from_pretrained(str(checkpoint), device="cpu")
    for row in rows.remove_columns(["audio", "rejected_audio"]):
        better, worse = (json.loads(row[f"{name}_scores"])["mos"] for name in ("chosen", "rejected"))
        assert row["margin"] == pytest.approx(better - worse, abs=1e-4) and row["margin"] > 0
        assert row["source"] == f"takes of {checkpoint}" and row["turns"][0]["voice"]
        seed = int(row["id"].split("-")[-2])
        (take,) = dia.synthesizer.synthesize([row["script"]], [seed], dia.default_sampling)
        assert take.codes_TC.tolist() == row["codes"]
    counts = read_card(folder)["figures"]["counts"]
    assert counts["takes: judged"] == 15 and counts["prompts: with a pair"] == 5


def test_other_weights_judge_nothing_again_and_workers_change_nothing(
    checkpoint, codec, scripts, tmp_path, monkeypatch
):
    alone = EngineConfig(workers=0)
    first = prepare(judged(checkpoint, scripts, tmp_path), codec, alone)
    stored = {path.name for path in (tmp_path / "cache").rglob("*.json")}
    again = judged(checkpoint, scripts, tmp_path, rewards=RewardConfig({"mos": -1.0}, []))
    with monkeypatch.context() as patched:  # takes are not even decoded
        patched.setattr("dia.pipelines.preferences.judge_takes.decode_all", None)
        assert prepare(again, codec, alone) != first
    assert {path.name for path in (tmp_path / "cache").rglob("*.json")} == stored
    by_workers = judged(checkpoint, scripts, tmp_path / "workers")
    other = prepare(by_workers, codec, EngineConfig(workers=2))
    files = [sorted(folder.glob("*/data-*.arrow")) for folder in (first, other)]
    assert [path.read_bytes() for path in files[0]] == [path.read_bytes() for path in files[1]]


def test_prompts_of_a_file_are_spoken_in_their_voices(checkpoint, codec, tmp_path):
    rng = np.random.default_rng(0)
    soundfile.write(tmp_path / "voice.wav", 0.1 * rng.standard_normal(12_000), 16_000)
    voice = {"audio_prompt": "voice.wav", "prompt_text": "Hello there."}
    lines = [{"id": f"p{number}", "script": f"[S1] Text {number}."} | voice for number in range(3)]
    lines.append({"id": "long", "script": "[S1] No.", "audio_prompt": "voice.wav", "prompt_text": "Hi " * 60})
    (tmp_path / "prompts.jsonl").write_text("\n".join(map(json.dumps, lines)))
    config = judged(checkpoint, tmp_path / "prompts.jsonl", tmp_path, count={"train": 4}, takes=2)
    config.held_out = 0.0
    folder = prepare(config, codec)
    rows = open_prepared(folder)["train"]
    assert len(rows) and list(rows["voice_script"]) == ["[S1] Hello there."] * len(rows)
    assert all(len(codes) == 19 for codes in rows["voice_codes"])
    (left_out,) = read_card(folder)["left_out"]
    assert left_out["id"] == "long" and "characters per second" in left_out["error"]


def test_wrong_settings_are_reported_at_once():
    problems = "; ".join(
        PreferenceDataConfig(
            takes=1, rewards=RewardConfig({"charm": 1.0}, ["boring"]), count={"validation": 3}
        ).problems()
    )
    for part in (
        "needs data.preferences.ckpt",
        "needs data.preferences.scripts",
        "takes=1 must be 2",
        "names charm, which is no term",
        "names boring, which is no failure",
        "must have train",
    ):
        assert part in problems
