"""Reading recordings: invalid, missing or damaged files are reported and counted, and all others are read."""

import json
import shutil

import numpy as np
import pytest

from dia.audio.files import write_audio
from dia.config.systems import RecordConfig
from dia.errors import UserError
from dia.systems.read_recordings import read_recorded
from dia.systems.record import record
from dia.systems.recording_files import bytes_sha256
from dia.systems.response_audio import pcm16_wav_bytes
from tests.systems.conftest import load_declared, read_rows

TURNS = "[S1] Hello. [S2] Hi."


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A recording of four prompts, one of which failed during recording."""
    folder = tmp_path_factory.mktemp("recorded")
    source = folder / "mine"
    source.mkdir()
    entries = []
    for place in range(3):
        waveform = (0.1 * np.sin(np.arange(8_000 * (place + 1)) / 20)).astype(np.float32)
        write_audio(source / f"{place}.wav", waveform, 16_000)
        entries.append(
            {
                "id": f"p{place}",
                "file": f"{place}.wav",
                "script": TURNS if place else "[S1] Hello.\u2028[S2] Hi.",
                "group": "g",
            }
        )
    entries.append({"id": "p3", "file": "none.wav", "script": TURNS})
    (source / "recordings.jsonl").write_text(
        "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)
    )
    content = load_declared("folder", name="mine", path=str(source))
    return record(RecordConfig(system=content, out=str(folder / "out"), takes=1), lambda _: None).folder


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "copy")


def rewrite(folder, change):
    """Change the rows and make the manifest consistent with them."""
    rows = read_rows(folder / "outputs.jsonl")
    change(rows)
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    (folder / "outputs.jsonl").write_bytes(content)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"outputs_sha256": bytes_sha256(content)}))


def test_a_recording_is_read_back(folder):
    recorded = read_recorded(folder)
    assert recorded.system == "mine" and recorded.problems == [] and recorded.failed == {"missing_file": 1}
    assert [(item.prompt_id, item.seed, item.sample_rate) for item in recorded.recordings] == [
        (f"p{n}", 0, 16_000) for n in range(3)
    ]
    assert recorded.recordings[1].seconds == 1.0 and recorded.recordings[0].script.render() == TURNS
    assert [prompt.id for prompt in recorded.prompts] == ["p0", "p1", "p2", "p3"] and recorded.prompts[
        0
    ].group == "g"


WAV = "wav/p1-take0.wav"


def missing(folder):
    (folder / WAV).unlink()


def changed(folder):
    write_audio(folder / WAV, np.zeros(99, np.float32), 16_000)


def replaced(content):
    def change(folder):
        (folder / WAV).write_bytes(content)
        rewrite(folder, lambda rows: rows[1].update(wav_sha256=bytes_sha256(content)))

    return change


def wrong_rate(folder):
    rewrite(folder, lambda rows: rows[1].update(sample_rate=24_000))


def outside(folder):
    shutil.copy(folder / WAV, folder.parent / "out.wav")
    rewrite(folder, lambda rows: rows[1].update(wav_path="../out.wav"))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (missing, "cannot read wav/p1-take0.wav (No such file"),
        (changed, "sha256 differs"),
        (replaced(pcm16_wav_bytes(np.zeros(0, np.float32), 16_000)), "no samples"),
        (replaced(b"x"), "cannot be read as audio"),
        (wrong_rate, "its row states 24000"),
        (outside, "outside of the recording"),
    ],
)
def test_a_file_that_contradicts_its_row_is_a_failure_and_the_others_are_read(folder, damage, message):
    damage(folder)
    recorded = read_recorded(folder)
    assert [item.prompt_id for item in recorded.recordings] == ["p0", "p2"] and recorded.failed == {
        "unusable": 1,
        "missing_file": 1,
    }
    assert message in next(item.message for item in recorded.failures if item.kind == "unusable")


def test_invalid_rows_are_reported_one_by_one(folder):
    lines = (folder / "outputs.jsonl").read_text().split("\n")[:-1]
    row = json.loads(lines[1])
    lines[1] = json.dumps({**row, "take": "zero"})
    (folder / "outputs.jsonl").write_text("\n".join(["{broken", *lines, lines[0], '["x"]']) + "\n")
    recorded = read_recorded(folder)
    assert [item.prompt_id for item in recorded.recordings] == ["p0", "p2"]
    problems = "\n".join(recorded.problems)
    for part in (
        "sha256 of outputs.jsonl differs",
        "line 1 is not JSON",
        "line 3 has no take",
        "line 6 repeats 'p0'",
        "line 7 is not a JSON object",
        "states 4 rows, 3 are readable",
    ):
        assert part in problems


def test_an_interrupted_run_is_reported(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"state": "recording"}))
    assert any("incomplete" in problem for problem in read_recorded(folder).problems)


def test_turn_times_are_used_only_when_they_are_valid(folder):
    rewrite(
        folder,
        lambda rows: [
            rows[n].update(turn_times=times)
            for n, times in enumerate(([[0, 0.2], [0.3, 0.5]], [[0, 0.2]], [[0, 0.2], [0.3, 99.0]]))
        ],
    )
    assert [item.turn_times for item in read_recorded(folder).recordings] == [
        ((0.0, 0.2), (0.3, 0.5)),
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("name", "content"), [("manifest.json", "{"), ("manifest.json", '{"kind": "x"}'), ("outputs.jsonl", "")]
)
def test_a_folder_without_a_recording_is_rejected(folder, name, content):
    (folder / name).write_text(content)
    with pytest.raises(UserError, match=r"manifest|no readable take"):
        read_recorded(folder)
