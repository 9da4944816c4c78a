"""A recording read back: what lies, is missing or is damaged is named and counted, and the rest is still
read.
"""

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
from dia.systems.sound import wav_bytes
from tests.systems.conftest import declared, lines_of

TURNS = "[S1] Hello. [S2] Hi."


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A recording of four prompts, of which one failed when it was recorded."""
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
    content = declared("folder", name="mine", path=str(source))
    return record(RecordConfig(system=content, out=str(folder / "out"), takes=1), lambda _: None).folder


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "copy")


def rewrite(folder, change):
    """Change the rows, and have the manifest tell of it, as someone who lies well would."""
    rows = lines_of(folder / "outputs.jsonl")
    change(rows)
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    (folder / "outputs.jsonl").write_bytes(content)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"outputs_sha256": bytes_sha256(content)}))


def test_a_recording_comes_back(folder):
    found = read_recorded(folder)
    assert found.system == "mine" and found.problems == [] and found.failed == {"missing_file": 1}
    assert [(item.prompt_id, item.seed, item.sample_rate) for item in found.recordings] == [
        (f"p{n}", 0, 16_000) for n in range(3)
    ]
    assert found.recordings[1].seconds == 1.0 and found.recordings[0].script.render() == TURNS
    assert [prompt.id for prompt in found.prompts] == ["p0", "p1", "p2", "p3"] and found.prompts[
        0
    ].group == "g"


WAV = "wav/p1-take0.wav"


def gone(folder):
    (folder / WAV).unlink()


def changed(folder):
    write_audio(folder / WAV, np.zeros(99, np.float32), 16_000)


def replaced(content):
    def change(folder):
        (folder / WAV).write_bytes(content)
        rewrite(folder, lambda rows: rows[1].update(wav_sha256=bytes_sha256(content)))

    return change


def lying_rate(folder):
    rewrite(folder, lambda rows: rows[1].update(sample_rate=24_000))


def outside(folder):
    shutil.copy(folder / WAV, folder.parent / "out.wav")
    rewrite(folder, lambda rows: rows[1].update(wav_path="../out.wav"))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (gone, "cannot be read (No such file"),
        (changed, "sha256 differs"),
        (replaced(wav_bytes(np.zeros(0, np.float32), 16_000)), "no samples"),
        (replaced(b"x"), "cannot be read as audio"),
        (lying_rate, "its row says 24000"),
        (outside, "outside of the recording"),
    ],
)
def test_a_file_that_is_not_what_its_row_says_is_a_failure_and_the_rest_is_read(folder, damage, said):
    damage(folder)
    found = read_recorded(folder)
    assert [item.prompt_id for item in found.recordings] == ["p0", "p2"] and found.failed == {
        "unusable": 1,
        "missing_file": 1,
    }
    assert said in next(item.message for item in found.failures if item.kind == "unusable")


def test_rows_that_cannot_be_read_are_told_one_by_one(folder):
    lines = (folder / "outputs.jsonl").read_text().split("\n")[:-1]
    row = json.loads(lines[1])
    lines[1] = json.dumps({**row, "take": "zero"})
    (folder / "outputs.jsonl").write_text("\n".join(["{broken", *lines, lines[0], '["x"]']) + "\n")
    found = read_recorded(folder)
    assert [item.prompt_id for item in found.recordings] == ["p0", "p2"]
    told = "\n".join(found.problems)
    for part in ("sha256 differs", "line 1 is no JSON", "line 3 lacks take", "line 6 tells again of 'p0'",
                 "line 7 is no JSON object", "tells of 4 rows, 3 can be read"):  # fmt: skip
        assert part in told


def test_a_run_that_was_cut_off_is_told(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"state": "recording"}))
    assert any("not whole" in problem for problem in read_recorded(folder).problems)


def test_times_of_turns_are_believed_only_where_they_can_be_true(folder):
    rewrite(folder, lambda rows: [rows[n].update(turn_times=times) for n, times in enumerate(
        ([[0, 0.2], [0.3, 0.5]], [[0, 0.2]], [[0, 0.2], [0.3, 99.0]]))])  # fmt: skip
    assert [item.turn_times for item in read_recorded(folder).recordings] == [
        ((0.0, 0.2), (0.3, 0.5)),
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("name", "content"), [("manifest.json", "{"), ("manifest.json", '{"kind": "x"}'), ("outputs.jsonl", "")]
)
def test_a_folder_that_holds_no_recording_is_refused(folder, name, content):
    (folder / name).write_text(content)
    with pytest.raises(UserError, match=r"manifest|no take"):
        read_recorded(folder)
