"""Train a detector of nonverbal sounds: mixed clips, features, Trainer.fit, runs/<run_name>/model.

Some people are held out: the validation loss and the calibration beside the model are theirs.
"""

import json
import logging
from pathlib import Path

import lightning as L
import torch
from torch.utils.data import DataLoader

from dia.config.train import EventDetectorTrainConfig
from dia.errors import UserError
from dia.evaluation.calibration import ReadFiles, calibration_result, read_labelled
from dia.evaluation.calibration_clips import folds_of_people
from dia.files import make_folder, write_text
from dia.judges.event_features import FRAME_RATE, EventFeatures
from dia.judges.event_head import EventHead, EventHeadConfig, save_head
from dia.judges.sound_detectors import HeadDetector
from dia.judges.unavailable import JudgeUnavailable
from dia.pipelines.event_clips import ClipPlan, labelled_frames
from dia.pipelines.preflight import as_yaml, preflight
from dia.training.event_module import EventModule, LabelledFrames, TrainingWindows
from dia.training.loggers import build_loggers, close_loggers
from dia.training.run_folder import PreparedRun, begin_run, finish_run, run_lock
from dia.training.trainer import build_trainer

VALIDATION_SHARE = 8  # one validation clip for this many training clips
CALIBRATION = "calibration.json"
logger = logging.getLogger(__name__)


def train_event_detector(config: EventDetectorTrainConfig) -> Path:
    """Train a detector of nonverbal sounds and return the run folder. Raises :class:`UserError`."""
    prepared = preflight(config)
    read = read_labelled(config.event_detector.folder, config.event_detector.labels)
    train, held_out = split_people(read, config.event_detector.tags, config.event_detector.held_out)
    try:
        sources = EventFeatures().sources
    except JudgeUnavailable as missing:
        raise UserError(f"the detector cannot be trained: {missing}") from missing
    with run_lock(prepared.state.folder):
        _train(config, prepared, train, held_out, sources)
        _calibrate(prepared.state.folder / "model", held_out, config.event_detector.labels)
        finish_run(prepared.state.folder, config.trainer.steps)
    return prepared.state.folder


def split_people(read: ReadFiles, tags: list[str], share: float) -> tuple[ReadFiles, ReadFiles]:
    """Return the recordings of the people to train on, and of a ``share`` of the people, which is held out.

    At least one of the folds of people is held out, and one is trained on.
    Raises :class:`UserError` when fewer than two people speak, or when a tag lacks recordings.
    """
    try:
        folds = folds_of_people(read.recordings)
    except ValueError as error:
        raise UserError(f"the speech is not enough: {error}; add recordings of speech") from error
    count = max(folds.values()) + 1
    first_of_training = min(max(1, round(share * count)), count - 1)
    train, held_out = ReadFiles(), ReadFiles()
    for item in read.recordings:
        (train if folds[item.person] >= first_of_training else held_out).recordings.append(item)
    present = {tag for item in train.recordings for tag in item.tags}
    if missing := [tag for tag in tags if tag not in present]:
        raise UserError(
            f"there are no recordings of {', '.join(missing)}; add some, or leave them out of "
            "event_detector.tags"
        )
    return train, held_out


def _train(
    config: EventDetectorTrainConfig,
    prepared: PreparedRun,
    train: ReadFiles,
    held_out: ReadFiles,
    sources: dict[str, str],
) -> None:
    training, state, steps = config.event_detector, prepared.state, config.trainer.steps
    clips = _frames(config, train, training.clips, config.seed, training.channels)
    validation = _frames(config, held_out, max(1, training.clips // VALIDATION_SHARE), config.seed + 1, 0.0)
    L.seed_everything(config.seed, verbose=False)
    shape = EventHeadConfig(
        tuple(training.tags),
        width=training.width,
        layers=training.layers,
        dropout=training.dropout,
        sources=sources,
    )
    begin_run(state.folder, as_yaml(config))
    task = EventModule(
        EventHead(shape), config.optim, config.schedule, steps, training.positive_weight, config.seed
    )
    loggers = build_loggers(config.logger, config.run_name, state.folder)
    trainer = build_trainer(config.trainer, prepared, [], loggers, steps)
    frames = int(training.window_seconds * FRAME_RATE)
    windows = TrainingWindows(clips, training.batch_size, frames, config.seed, state.steps_done, steps)
    whole = [
        (torch.from_numpy(clip.features_TF).float(), torch.from_numpy(clip.labels_TS).float())
        for clip in validation
    ]
    trainer.fit(
        task,
        DataLoader(windows, batch_size=None),
        DataLoader(whole, batch_size=1),  # type: ignore[arg-type]  # a list is a data set
        ckpt_path=state.checkpoint,
        weights_only=True,
    )
    close_loggers(loggers)
    make_folder(state.folder / "model")
    save_head(task.head, state.folder / "model")


def _frames(
    config: EventDetectorTrainConfig, read: ReadFiles, clips: int, seed: int, channels: float
) -> list[LabelledFrames]:
    training = config.event_detector
    plan = ClipPlan(
        tuple(read.recordings),
        tuple(training.tags),
        training.clip_seconds,
        training.most_sounds,
        seed,
        channels,
    )
    return labelled_frames(plan, clips, config.engine)


def _calibrate(folder: Path, held_out: ReadFiles, labels: str) -> None:
    """Write calibration.json beside a head, measured on the people that training does not have."""
    try:
        result = calibration_result(HeadDetector(folder), held_out, labels)
    except UserError as error:
        logger.warning("the detector is not calibrated: %s", error)
        return
    write_text(folder / CALIBRATION, json.dumps(result, indent=2, allow_nan=False) + "\n")
