"""Calibration on labelled recordings: labels, duplicates, unreadable files, and exit code."""

import json

import numpy as np
import pytest
import yaml

from dia.audio.files import write_audio
from dia.config.judges import CalibrateConfig
from dia.errors import UserError
from dia.eval import calibrate as command
from dia.evaluation import calibration
from dia.evaluation.calibration import (
    calibrate_on_real,
    calibration_of,
    find_labelled,
    read_calibration,
    read_labels,
    tags_of,
)
from dia.judges.events import DetectorUnavailable
from dia.judges.provenance import Provenance

DECLARED = read_labels("eval/detectors/real.yaml")


class Loudness:
    """A detector that takes loud sounds for laughs."""

    provenance = Provenance("loudness", "1", 16_000, "none", True)

    def scores(self, recording):
        return {"laughs": float(np.abs(recording.waveform).mean())}


@pytest.fixture
def sounds(tmp_path, monkeypatch):
    """Ten voices that laugh loudly and speak quietly, of which two laughs are one file."""
    monkeypatch.setattr(calibration, "EventDetector", Loudness)
    random = np.random.default_rng(0)
    for number in range(10):
        folder = tmp_path / "sounds" / "hedgewars" / f"Voice{number}"
        folder.mkdir(parents=True)
        for name, level in (("Laugh.ogg", 0.4), ("Hello.ogg", 0.05), ("Ouch.ogg", 0.4)):
            write_audio(
                folder / name, (level * random.standard_normal(8_000)).clip(-1, 1).astype(np.float32), 16_000
            )
    copied = tmp_path / "sounds" / "hedgewars"
    (copied / "Voice9" / "Laugh.ogg").write_bytes((copied / "Voice8" / "Laugh.ogg").read_bytes())
    return tmp_path / "sounds"


def test_the_shipped_labels_distinguish_sounds_from_speech_and_leave_cries_out():
    assert tags_of("British/Laugh.ogg", DECLARED["hedgewars"]) == {"laughs"}
    assert tags_of("British/Hello.ogg", DECLARED["hedgewars"]) == frozenset()
    assert (
        tags_of("British/Ouch.ogg", DECLARED["hedgewars"]) is None
        and tags_of("Robot/Laugh.ogg", DECLARED["hedgewars"]) is None
    )
    assert (
        tags_of("beep.wav", DECLARED["asterisk"]) == {"beep"}
        and tags_of("agent-pass.wav", DECLARED["asterisk"]) == frozenset()
    )
    assert (
        tags_of("silence_1.wav", DECLARED["asterisk"]) is None
        and tags_of("tt-monkeys.wav", DECLARED["asterisk"]) is None
    )


def test_duplicates_count_once_and_unlabelled_files_are_left_out(sounds):
    found = calibrate_on_real(sounds)
    assert found["copies"] == 1 and found["left_out"] == 10 and found["unreadable"] == {}
    laughs = found["tags"]["laughs"]
    assert (laughs["with_tag"], laughs["without_tag"]) == (9, 10) and laughs["measurable"]
    low, high = laughs["sensitivity_interval"]
    assert 0 < low < laughs["sensitivity"] <= high <= 1 and laughs["specificity"] == 1
    assert laughs["false_alarms_in_speech"] == {"hedgewars": {"heard": 0, "recordings": 10}}
    assert found["sources"]["hedgewars"]["files"] == 19 and found["sources"]["asterisk"]["files"] == 0
    json.dumps(found, allow_nan=False)


def test_the_command_lists_unreadable_files_and_exits_with_3(sounds, tmp_path, capsys):
    out = tmp_path / "calibration.json"
    command(CalibrateConfig(str(sounds), out=str(out)))
    known = calibration_of(read_calibration(out))
    assert known["laughs"].measurable and 0.05 < known["laughs"].threshold < 0.4
    (sounds / "hedgewars" / "Voice0" / "Hello.ogg").write_bytes(b"no sound")
    with pytest.raises(SystemExit) as stopped:
        command(CalibrateConfig(str(sounds), out=str(out)))
    assert stopped.value.code == 3 and "Voice0/Hello.ogg" in capsys.readouterr().err
    assert read_calibration(out)["tags"]["laughs"]["without_tag"] == 9
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["calibration.json"]


def test_missing_inputs_are_errors(sounds, tmp_path, monkeypatch):
    with pytest.raises(UserError, match="no folder"):
        calibrate_on_real(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no labelled sound"):
        find_labelled(tmp_path / "empty", DECLARED)
    with pytest.raises(UserError, match="folder=FOLDER"):
        command(CalibrateConfig())
    with pytest.raises(UserError, match="out="):
        command(CalibrateConfig(str(sounds), out=str(tmp_path / "none" / "c.json")))

    def gone():
        raise DetectorUnavailable("yamnet.tflite is not in x")

    monkeypatch.setattr(calibration, "EventDetector", gone)
    with pytest.raises(UserError, match="yamnet"):
        calibrate_on_real(sounds)


@pytest.mark.parametrize("content", ["", "[1]", '{"tags": {"laughs": {}}}', '{"tags": 3}'])
def test_a_file_of_another_kind_is_refused_as_calibration(tmp_path, content):
    (tmp_path / "c.json").write_text(content)
    with pytest.raises(UserError, match="is not a calibration"):
        read_calibration(tmp_path / "c.json")


def test_all_problems_of_labels_are_reported_at_once(tmp_path):
    path = tmp_path / "labels.yaml"
    path.write_text(
        yaml.safe_dump({"a": {"licence": "x", "tags": {"juggles": ["*"]}, "speech": "*.wav", "colour": 1}})
    )
    with pytest.raises(UserError) as caught:
        read_labels(str(path))
    for said in (
        "a has the unknown key colour",
        "a lacks source",
        "juggles is not a tag",
        "a.speech must be a list",
    ):
        assert said in str(caught.value)
    path.write_text("- 1")
    with pytest.raises(UserError, match="have no sources"):
        read_labels(str(path))
    with pytest.raises(UserError, match="cannot be read"):
        read_labels(str(tmp_path / "none.yaml"))
