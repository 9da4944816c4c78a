"""A detector of sounds is trained on mixed clips, resumes exactly, and is calibrated on other people."""

import json

import numpy as np
import pytest
import torch

from dia.audio.files import write_audio
from dia.config.compose import compose, typed
from dia.dialogue import Script
from dia.errors import UserError
from dia.evaluation.calibration import calibration_of, read_calibration
from dia.judges import event_features
from dia.judges.event_head import EventHead, EventHeadConfig, load_head, save_head
from dia.judges.recording import Recording
from dia.judges.sound_detectors import HeadDetector
from dia.pipelines import event_clips
from dia.pipelines import train_event_detector as pipeline
from dia.pipelines.event_clips import ClipPlan, frame_labels, mixed_clip
from dia.train import run_task
from dia.training.event_module import EventModule

RATE, FRAME = 16_000, 640


class Bands:
    """Levels of eight bands in place of the encoder's features and of the class scores."""

    def __init__(self, threads=1):
        self.sources = {"whisper": "a", "yamnet": "b"}

    def __call__(self, waveform):
        frames = -(-len(waveform) // FRAME)
        padded = np.pad(waveform, (0, frames * FRAME - len(waveform))).reshape(frames, FRAME)
        power = np.abs(np.fft.rfft(padded * np.hanning(FRAME))) ** 2
        bands = np.log(power[:, :320].reshape(frames, 8, 40).sum(axis=2) + 1e-3)
        return np.tile(bands, 114)[:, : 384 + 521].astype(np.float32)


@pytest.fixture
def sounds(tmp_path, monkeypatch):
    """Ten people who speak at 400 Hz, laugh at 3 kHz and cough at 6 kHz."""
    for module in (event_clips, pipeline):
        monkeypatch.setattr(module, "EventFeatures", Bands)
    monkeypatch.setattr("dia.judges.sound_detectors.EventFeatures", Bands)
    times = np.arange(8_000) / RATE
    for number in range(10):
        folder = tmp_path / "sounds" / "hedgewars" / f"Voice{number}"
        folder.mkdir(parents=True)
        for name, hertz in (("Laugh.ogg", 3_000), ("PoisonCough.ogg", 6_000), ("Hello.ogg", 400)):
            tone = 0.3 * np.sin(2 * np.pi * (hertz + 9 * number) * times)
            write_audio(folder / name, tone.astype(np.float32), RATE)
    return tmp_path / "sounds"


def train(sounds, runs, *more):
    return run_task(
        typed(
            compose(
                "train",
                [
                    "+recipe=event_detector",
                    f"event_detector.folder={sounds}",
                    "event_detector.tags=[laughs, coughs]",
                    "event_detector.clips=12",
                    "event_detector.clip_seconds=6",
                    "event_detector.window_seconds=3",
                    "event_detector.width=16",
                    "event_detector.layers=1",
                    "event_detector.batch_size=4",
                    "schedule.warmup_steps=2",
                    "trainer.steps=80",
                    "trainer.validate_every=40",
                    "trainer.checkpoint_every=40",
                    "engine.workers=0",
                    f"runs={runs}",
                    *more,
                ],
            )
        )
    )


def test_a_detector_is_trained_calibrated_and_opened(sounds, tmp_path):
    run = train(sounds, tmp_path / "runs")
    calibration = calibration_of(read_calibration(run / "model" / "calibration.json"))
    assert set(calibration) == {"laughs", "coughs"}
    assert all(item.with_tag >= 2 for item in calibration.values())
    detector = HeadDetector(run / "model")
    times = np.arange(3 * RATE) / RATE
    waveform = 0.1 * np.sin(2 * np.pi * 400 * times)
    waveform[RATE : 2 * RATE] = 0.2 * np.sin(2 * np.pi * 3_000 * times[:RATE])
    starts, scores = detector.windows(waveform.astype(np.float32))
    assert scores["laughs"].max() > 0.5 > scores["coughs"].max()
    assert 1 < starts[scores["laughs"].argmax()] < 2
    recording = Recording("one", "a", Script(()), waveform.astype(np.float32), RATE)
    assert detector.scores(recording)["laughs"] == pytest.approx(float(scores["laughs"].max()))


def test_a_run_that_goes_on_ends_with_the_same_weights(sounds, tmp_path, monkeypatch):
    whole = load_head(train(sounds, tmp_path / "whole") / "model")

    def broken(task, batch, index):
        if task.global_step == 50:
            raise RuntimeError("the machine fails")
        return step(task, batch, index)

    step = EventModule.training_step
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="the machine fails"):
        patch.setattr(EventModule, "training_step", broken)
        train(sounds, tmp_path / "parts")
    resumed = load_head(train(sounds, tmp_path / "parts") / "model")
    for name, weight in whole.state_dict().items():
        assert torch.equal(weight, resumed.state_dict()[name]), name


@pytest.mark.parametrize("channels", [0.0, 1.0])
def test_clips_depend_on_seed_and_number_only(sounds, channels):
    from dia.evaluation.calibration import read_labelled

    recordings = tuple(read_labelled(sounds, "eval/detectors/real.yaml").recordings)
    plan = ClipPlan(recordings, ("laughs", "coughs"), 6.0, 4, 0, channels)
    first, again, other = mixed_clip(plan, 3), mixed_clip(plan, 3), mixed_clip(plan, 4)
    assert np.array_equal(first.waveform, again.waveform) and not np.array_equal(
        first.waveform, other.waveform
    )
    labels = frame_labels(first, 150, plan.tags)
    for sound in first.sounds:
        column = labels[:, plan.tags.index(sound.tag)]
        assert column[int(sound.start * 25) : int(np.ceil(sound.end * 25))].all()
    assert labels.sum() <= sum(np.ceil((sound.end - sound.start) * 25) + 1 for sound in first.sounds)


def test_what_is_missing_is_said(sounds, tmp_path):
    with pytest.raises(UserError, match="no recordings of sneezes"):
        train(sounds, tmp_path / "runs", "event_detector.tags=[laughs, sneezes]")
    with pytest.raises(UserError, match=r"(?s)'hums'.*no tag"):
        train(sounds, tmp_path / "runs", "event_detector.tags=[hums]")
    with pytest.raises(UserError, match=r"data\.path is a key of task=dia and codec"):
        train(sounds, tmp_path / "runs", "data.path=here")
    assert not (tmp_path / "runs").exists()


def test_files_that_are_no_detector_are_refused(tmp_path):
    head = EventHead(EventHeadConfig(("laughs",), width=8, layers=1, sources={"whisper": "a", "yamnet": "c"}))
    save_head(head, tmp_path)
    assert load_head(tmp_path).config == head.config
    with pytest.raises(UserError, match="another model of yamnet"), pytest.MonkeyPatch.context() as patch:
        patch.setattr("dia.judges.sound_detectors.EventFeatures", Bands)
        HeadDetector(tmp_path)
    content = json.loads((tmp_path / "config.json").read_text())
    for changed in ({"width": 10**9}, {"tags": []}, {"format": "x"}, {"layers": "many"}, {"more": 1}):
        (tmp_path / "config.json").write_text(json.dumps(content | changed))
        with pytest.raises(UserError, match="no detector of nonverbal sounds"):
            load_head(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(content | {"width": 16}))
    with pytest.raises(UserError, match="does not fit"):
        load_head(tmp_path)


@pytest.mark.parametrize("seconds", [0.3, 9.0, 29.9, 41.0])
def test_features_of_long_recordings_are_continuous(monkeypatch, seconds):
    """Each frame has the encoder's output for its own second, whichever input of 30 s it comes from."""
    features = object.__new__(event_features.EventFeatures)

    def encode(waveform):
        frames = np.zeros((750, 1), dtype=np.float32)
        means = [waveform[start : start + FRAME].mean() for start in range(0, len(waveform), FRAME)]
        frames[: len(means), 0] = means
        return frames

    monkeypatch.setattr(features, "_encode", encode, raising=False)
    frames = round(seconds * 25)
    waveform = np.repeat(np.arange(frames, dtype=np.float32), FRAME)
    assert np.array_equal(features._encoded(waveform, frames)[:, 0], np.arange(frames))
