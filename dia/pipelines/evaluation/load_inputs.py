"""Load the inputs of an evaluation: the checkpoint, and the data of the run that trained it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

from datasets import Dataset
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dia.config.data import DataConfig
from dia.config.eval import EvalConfig
from dia.data.prepare import prepare
from dia.data.prepared import open_prepared
from dia.errors import UserError, one_line
from dia.evaluation.results import LearningCurve
from dia.home import existing
from dia.model import Dia
from dia.training.run_folder import read_metrics


@dataclass(frozen=True)
class EvaluationInputs:
    """What an evaluation works on.

    ``dia`` is the checkpoint, None where only recorded systems are scored. ``splits`` are those of the
    prepared data, where there is any. ``baseline`` is another checkpoint to compare with.
    """

    dia: Dia | None
    splits: Mapping[str, Dataset] | None
    baseline: Dia | None = None


def load_inputs(config: EvalConfig, *, needs_data: bool) -> EvaluationInputs:
    """Load checkpoints and data. Data is prepared only where a suite needs a split, or where it is the run's.

    Raises :class:`UserError` as its parts do.
    """
    if not config.ckpt:
        if config.baseline:
            raise UserError(f"baseline={config.baseline} is scored beside a checkpoint; give ckpt=... too")
        return EvaluationInputs(None, None)
    dia = _load_checkpoint(config, config.ckpt)
    baseline = _load_checkpoint(config, config.baseline) if config.baseline else None
    run_config = existing(config.ckpt) / "config.yaml"
    if not needs_data and not run_config.is_file():
        return EvaluationInputs(dia, None, baseline)
    return EvaluationInputs(
        dia, open_prepared(prepare(_data_config(config, run_config), dia.codec)), baseline
    )


def _load_checkpoint(config: EvalConfig, name: str) -> Dia:
    dia = Dia.from_pretrained(name, codec=config.codec.name or None, quantization=config.quantization)
    dia.sampling(**asdict(config.sampling))
    return dia


def _data_config(config: EvalConfig, run_config: Path) -> DataConfig:
    """Return the data of the run, so that its own test split is used; without a run, that of ``config``."""
    if not run_config.is_file():
        return config.data
    try:
        merged = OmegaConf.merge(OmegaConf.structured(DataConfig), OmegaConf.load(run_config).data)
    except OmegaConfBaseException as error:
        raise UserError(f"{run_config} has no data config of this version: {one_line(error)}") from error
    return cast(DataConfig, OmegaConf.to_object(merged))


def load_learning_curve(run_folder: Path) -> LearningCurve | None:
    """Load the learning curve of a run folder, None for a checkpoint without a run."""
    marginal, rows = run_folder / "marginal.json", read_metrics(run_folder)
    if not (marginal.is_file() and rows):
        return None
    training, validation = (
        [(int(row["step"]), float(row[key])) for row in rows if row.get(key)]
        for key in ("train/loss", "validation/loss")
    )
    loss = json.loads(marginal.read_text(encoding="utf-8"))["loss"]
    return LearningCurve(training, validation, loss) if training else None
