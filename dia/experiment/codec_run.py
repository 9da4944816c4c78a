"""Train the small spectral codec: preflight -> waves -> task -> Trainer.fit -> runs/<run_name>/model."""

from pathlib import Path

import lightning as L
from datasets import DatasetDict
from torch.utils.data import DataLoader

from dia.audio.spectral import SpectralNetwork
from dia.audio.spectral_codec import save_spectral
from dia.conf import TrainConfig
from dia.data.waves import TrainingCrops, read_waves
from dia.experiment.preflight import as_yaml, opened_data, preflight
from dia.training.codec_task import CodecTask
from dia.training.loggers import build_loggers, close_loggers
from dia.training.run_folder import Ready, alone_in, begin_run, finish_run
from dia.training.trainer import build_trainer


def train_codec(config: TrainConfig) -> Path:
    """Train the spectral codec and return the run folder. Raises ``UserError`` as its parts do."""
    splits, ready = opened_data(config, None, preflight(config))
    with alone_in(ready.run.folder):
        return _train(config, splits, ready)


def _train(config: TrainConfig, splits: DatasetDict, ready: Ready) -> Path:
    training, claimed = config.codec_training, ready.run
    L.seed_everything(config.seed)
    network = SpectralNetwork(config.spectral)
    waves = read_waves(splits["train"], config.spectral.sample_rate)
    begin_run(claimed.folder, as_yaml(config))
    task = CodecTask(network, training, config.schedule, config.seed)
    loggers = build_loggers(config.logger, config.run_name, claimed.folder)
    trainer = build_trainer(config.trainer, ready, [], loggers, training.steps, manual=True)
    crops = TrainingCrops(waves, training.clips, training.samples, config.seed, claimed.steps_done, training.steps)
    trainer.fit(task, DataLoader(crops, batch_size=None), ckpt_path=claimed.checkpoint, weights_only=True)
    close_loggers(loggers)
    save_spectral(task.finished_network(), claimed.folder / "model")
    finish_run(claimed.folder, trainer.global_step)
    return claimed.folder
