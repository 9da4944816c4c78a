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
    read_labelled,
    read_labels,
    tags_of,
)
from dia.evaluation.calibration_clips import FOLDS, calibration_clips, folds_of_people
from dia.judges.events import Calibration, DetectorUnavailable
from dia.judges.provenance import Provenance
from dia.pipelines.evaluation import calibration_data

DECLARED = read_labels("eval/detectors/real.yaml")


class HighPitch:
    """A detector that takes sounds above 2 kHz for laughs."""

    provenance = Provenance("pitch", "1", 16_000, "none", True)

    def scores(self, recording):
        frames = recording.waveform[: len(recording.waveform) // 320 * 320].reshape(-1, 320)
        spectrum = np.abs(np.fft.rfft(frames * np.hanning(320))) ** 2
        return {"laughs": float(spectrum[:, 40:].sum(axis=1).max() / spectrum.sum(axis=1).max())}


@pytest.fixture
def sounds(tmp_path, monkeypatch):
    """Twelve voices that laugh at 3 kHz and speak at 400 Hz, of which two laughs are one file."""
    monkeypatch.setattr(calibration, "open_detector", lambda folder: HighPitch())
    times = np.arange(8_000) / 16_000
    for number in range(12):
        folder = tmp_path / "sounds" / "hedgewars" / f"Voice{number}"
        folder.mkdir(parents=True)
        for name, hertz in (("Laugh.ogg", 3_000), ("Hello.ogg", 400), ("Ouch.ogg", 3_000)):
            tone = 0.3 * np.sin(2 * np.pi * (hertz + 5 * number) * times)
            write_audio(folder / name, tone.astype(np.float32), 16_000)
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
    assert found["copies"] == 1 and found["left_out"] == 12 and found["unreadable"] == {}
    laughs = found["tags"]["laughs"]
    assert (laughs["with_tag"], laughs["without_tag"]) == (11, 12) and laughs["measurable"]
    low, high = laughs["sensitivity_interval"]
    assert 0 < low < laughs["sensitivity"] <= high <= 1 and laughs["specificity"] == 1
    assert laughs["false_alarms_in_speech"] == {"hedgewars": {"detected": 0, "clips": 12}}
    assert found["sources"]["hedgewars"]["people"] == 12 and found["clip_seconds"] == 9
    assert found["sources"]["hedgewars"]["files"] == 23 and found["sources"]["asterisk"]["files"] == 0
    json.dumps(found, allow_nan=False)


def test_people_of_a_threshold_are_not_in_its_evaluation(sounds):
    recordings = read_labelled(sounds, "eval/detectors/real.yaml").recordings
    clips = list(calibration_clips(recordings, 3.0))
    folds = folds_of_people(recordings)
    assert len(set(folds.values())) == FOLDS
    own = {round(400 + 5 * number): folds[f"hedgewars/Voice{number}"] for number in range(12)}
    for clip in clips:
        assert len(clip.waveform) == 3 * 16_000
        quiet = clip.waveform.copy()
        for sound in clip.sounds:
            quiet[int(sound.start * 16_000) : int(sound.end * 16_000) + 1] = 0
        spectrum = np.abs(np.fft.rfft(quiet))[: 3 * 1_000]
        pitch = spectrum.argmax() / 3
        assert own[min(own, key=lambda hertz: abs(hertz - pitch))] == clip.fold, "the speech of another fold"
    assert sum(bool(clip.tags) for clip in clips) == 11 and sum(not clip.tags for clip in clips) == 12


def test_one_voice_is_not_enough(sounds):
    for folder in sorted((sounds / "hedgewars").iterdir())[1:]:
        (folder / "Hello.ogg").unlink()
    with pytest.raises(UserError, match="1 of the people speak; at least two"):
        calibrate_on_real(sounds)


def test_the_command_lists_unreadable_files_and_exits_with_3(sounds, tmp_path, capsys):
    out = tmp_path / "calibration.json"
    command(CalibrateConfig(str(sounds), out=str(out)))
    known = calibration_of(read_calibration(out))
    assert known["laughs"].measurable and 0.05 < known["laughs"].threshold < 1
    (sounds / "hedgewars" / "Voice0" / "Hello.ogg").write_bytes(b"no sound")
    with pytest.raises(SystemExit) as stopped:
        command(CalibrateConfig(str(sounds), out=str(out)))
    assert stopped.value.code == 3 and "Voice0/Hello.ogg" in capsys.readouterr().err
    assert read_calibration(out)["tags"]["laughs"]["without_tag"] == 11
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["calibration.json"]


def test_a_calibration_on_people_sets_the_thresholds(sounds, tmp_path, monkeypatch):
    monkeypatch.setattr(calibration_data, "open_detector", lambda folder: HighPitch())
    out = tmp_path / "calibration.json"
    command(CalibrateConfig(str(sounds), out=str(out)))
    on_people, of_data = read_calibration(out), {"coughs": Calibration(0.3, 0.9, 0.9, 20, 20)}
    labelled = calibration_data.CalibrationData((), (), of_data, "", 40)
    assert calibration_data.thresholds(labelled, None) == of_data
    assert calibration_data.thresholds(labelled, on_people) == calibration_of(on_people)
    on_people["detector"]["version"] = "another"
    with pytest.raises(UserError, match="of another detector"):
        calibration_data.thresholds(labelled, on_people)


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

    def gone(folder):
        raise DetectorUnavailable("yamnet.tflite is not in x")

    monkeypatch.setattr(calibration, "open_detector", gone)
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
