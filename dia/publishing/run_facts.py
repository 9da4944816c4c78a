"""What a run folder says about its training, data and evaluations, for the card of its model."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dia.config.stored import read_run_config
from dia.config.train import DataRunConfig
from dia.data.prepare import find_prepared
from dia.data.prepared import open_prepared, read_card
from dia.documents import read_json_object
from dia.errors import UserError
from dia.evaluation.results import SCORES
from dia.home import existing
from dia.training.run_folder import CONFIG, FINISHED, read_metrics


@dataclass(frozen=True)
class DataFacts:
    """A data set: its name, statistics of its card, and the licences of its clips with their numbers."""

    name: str
    statistics: Mapping[str, Any] = field(default_factory=dict)
    licences: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainingFacts:
    """The training of a run; empty for a checkpoint without a run.

    Attributes:
        steps: Optimizer steps; 0 when unknown.
        base: The checkpoint that training started from; empty for a random one.
        validation_loss: The last loss in validation.
        precision: Precision of the training.
        data: The data set; None when it is not on this machine.
    """

    steps: int = 0
    base: str = ""
    validation_loss: float | None = None
    precision: str = ""
    data: DataFacts | None = None


def training_of(run: Path) -> TrainingFacts:
    """Return what is known about the training of a checkpoint at ``run``.

    Raises :class:`UserError` when the config of the run is damaged.
    """
    if not (run / CONFIG).is_file():
        return TrainingFacts()
    config = read_run_config(run / CONFIG)
    rows = read_metrics(run)
    losses = [float(row["validation/loss"]) for row in rows if row.get("validation/loss")]
    base = run / "base.json"
    return TrainingFacts(
        steps=_steps(run, rows),
        base=str(read_json_object(base)["name"]) if base.is_file() else "",
        validation_loss=losses[-1] if losses else None,
        precision=str(config.trainer.precision),
        data=_data_of(config) if isinstance(config, DataRunConfig) else None,
    )


def _steps(run: Path, rows: Sequence[Mapping[str, str]]) -> int:
    """Return the optimizer steps of a run: all of a finished one, else the last that was logged."""
    if (run / FINISHED).is_file():
        return int(read_json_object(run / FINISHED)["steps"])
    return int(rows[-1]["step"]) if rows else 0


def _data_of(config: DataRunConfig) -> DataFacts:
    """Return what is known about the data of a run; its name where the data is not on this machine."""
    try:
        folders = find_prepared(config.data, config.codec_name)
        if not folders:
            return DataFacts(config.data.name)
        return data_facts(folders[0], config.data.name)
    except (UserError, OSError):  # the source, which the config names, is not here
        return DataFacts(config.data.name)


def data_facts(folder: Path, name: str) -> DataFacts:
    """Return the statistics and licences of a prepared data set; raises as :func:`open_prepared` does."""
    licences = Counter(licence for rows in open_prepared(folder).values() for licence in rows["licence"])
    return DataFacts(name, read_card(folder)["figures"], dict(sorted(licences.items())))


def evaluations_of(run: Path, named: Sequence[str]) -> list[Mapping[str, Any]]:
    """Return the scores of the named evaluations, else of those in the run.

    Raises:
        UserError: For a named folder without scores, and for damaged scores.
    """
    folders = [existing(name) for name in named] or sorted(run.glob("eval-*"))
    if problems := [str(folder) for folder in folders if named and not (folder / SCORES).is_file()]:
        raise UserError(f"there is no {SCORES} in {', '.join(problems)}; name folders that dia-eval wrote")
    return [read_json_object(folder / SCORES) for folder in folders if (folder / SCORES).is_file()]
