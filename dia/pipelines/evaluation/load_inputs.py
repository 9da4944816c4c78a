"""Load the inputs of an evaluation: the checkpoint, and the data of the run that trained it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from datasets import Dataset

from dia.config.eval import EvalConfig
from dia.data.integrity import code_problems
from dia.data.prepared import open_prepared
from dia.documents import read_json_object
from dia.errors import UserError, one_line
from dia.evaluation.results import LearningCurve
from dia.model import Dia
from dia.pipelines.evaluation.run_data import find_data
from dia.pipelines.evaluation.take_jobs import CheckpointSource
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
    """Load checkpoints and prepared data: those that keys of data name, else those of the run.

    Nothing is prepared: a checkpoint may come from someone else, and its config may name any program.

    Raises :class:`UserError` as its parts do.
    """
    if not config.ckpt:
        if config.baseline:
            raise UserError(f"baseline={config.baseline} is scored beside a checkpoint; give ckpt=... too")
        return EvaluationInputs(None, None)
    dia = checkpoint_source(config, config.ckpt).open()
    baseline = checkpoint_source(config, config.baseline).open() if config.baseline else None
    folder = find_data(config, dia.codec, needed=needs_data)
    if folder is None:
        return EvaluationInputs(dia, None, baseline)
    if problems := code_problems(folder, dia.codec.channels, dia.codec.codebook_size):
        raise UserError("; ".join(problems))
    return EvaluationInputs(dia, open_prepared(folder), baseline)


def checkpoint_source(config: EvalConfig, name: str) -> CheckpointSource:
    """Return how any process opens a checkpoint of an evaluation."""
    return CheckpointSource(name, config.codec.name, config.quantization, config.sampling)


def load_learning_curve(run_folder: Path) -> LearningCurve | None:
    """Load the learning curve of a run folder, None for a checkpoint without a run."""
    marginal, rows = run_folder / "marginal.json", read_metrics(run_folder)
    if not (marginal.is_file() and rows):
        return None
    training, validation = (
        [(int(row["step"]), float(row[key])) for row in rows if row.get(key)]
        for key in ("train/loss", "validation/loss")
    )
    try:
        loss = float(read_json_object(marginal)["loss"])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{marginal} is damaged ({one_line(error)}); copy the run again, or remove the file"
        ) from error
    return LearningCurve(training, validation, loss) if training else None
