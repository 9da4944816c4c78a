"""A run is claimed before anything is loaded: its folder is free, or holds what it goes on from."""

from dataclasses import dataclass
from pathlib import Path

import torch
from omegaconf import OmegaConf

from dia.conf import TrainConfig
from dia.training.run_folder import require_run_folder


@dataclass(frozen=True)
class Run:
    """A claimed run: its folder, the checkpoint to go on from, and the optimizer steps already done."""

    folder: Path
    resume_from: Path | None
    steps_done: int


def claim(config: TrainConfig) -> Run:
    """Return the run that the config names; see :func:`require_run_folder`. Nothing is written yet."""
    folder = Path(config.runs) / config.run_name
    resume_from = require_run_folder(folder, config.resume)
    steps = torch.load(resume_from, map_location="cpu", weights_only=True)["global_step"] if resume_from else 0
    return Run(folder, resume_from, steps)


def as_yaml(config: TrainConfig) -> str:
    """Return the composed config as YAML."""
    return OmegaConf.to_yaml(OmegaConf.structured(config))
