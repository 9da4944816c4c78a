"""Train a tiny network on random clips in a folder, for tests of callbacks and checkpoints."""

import lightning as L
import torch
from torch.utils.data import DataLoader, IterableDataset

from dia.config.optimizer import OptimConfig, ScheduleConfig
from dia.config.trainer import LoggerConfig, TrainerConfig
from dia.network import DiaNetwork
from dia.training.dia_module import DiaModule
from dia.training.distributed import distributed_env
from dia.training.loggers import build_loggers
from dia.training.objectives.cross_entropy import CrossEntropy
from dia.training.resume import RunFingerprint
from dia.training.run_folder import PreparedRun, RunState
from dia.training.trainer import build_trainer
from tests.conftest import TINY
from tests.training.clips import RandomClips


class Batches(IterableDataset):
    """Yields batches of two clips."""

    def __init__(self, count, clips=None):
        self.count, self.clips = count, clips or RandomClips([12, 20, 7, 15, 9, 18])

    def __iter__(self):
        for number in range(self.count):
            first = 2 * number % len(self.clips.frames)
            yield self.clips.batch(first, first + 1)


def task(steps, learning_rate=1e-3):
    torch.manual_seed(0)
    optim, schedule = OptimConfig(learning_rate=learning_rate), ScheduleConfig(warmup_steps=1)
    return DiaModule(DiaNetwork(TINY), CrossEntropy(4.0), optim, schedule, steps, 4.0)


def trainer(folder, callbacks, steps, logger=LoggerConfig(wandb="disabled"), **settings) -> L.Trainer:
    given = TrainerConfig(**{"steps": steps, "validate_every": 1000, "checkpoint_every": 2} | settings)
    ready = PreparedRun(RunState(folder), distributed_env({}), RunFingerprint({}, 1))
    return build_trainer(given, ready, callbacks, build_loggers(logger, "test", folder), steps)


def fit(folder, callbacks, steps, module=None, loader=None, **settings):
    """Train, and return the trainer and the task."""
    fitted, module = trainer(folder, callbacks, steps, **settings), module or task(steps)
    loader = (
        DataLoader(Batches(steps * fitted.accumulate_grad_batches), batch_size=None)
        if loader is None
        else loader
    )
    fitted.fit(module, loader)
    return fitted, module
