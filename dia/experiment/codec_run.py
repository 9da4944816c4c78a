"""Train the small spectral codec: claim the folder -> waves -> task -> Trainer.fit -> runs/<run_name>/model."""

from pathlib import Path

import lightning as L
from torch.utils.data import DataLoader

from dia.audio.spectral import SpectralNetwork
from dia.audio.spectral_codec import save_spectral
from dia.conf import TrainConfig
from dia.data.prepare import prepare
from dia.data.prepared import open_prepared
from dia.data.waves import TrainingCrops, read_waves
from dia.experiment.claim import as_yaml, claim
from dia.training.codec_task import CodecTask
from dia.training.loggers import build_loggers, close_loggers
from dia.training.run_folder import begin_run
from dia.training.trainer import build_trainer


def train_codec(config: TrainConfig) -> Path:
    """Train the spectral codec and return the run folder."""
    training = config.codec_training
    claimed = claim(config)
    L.seed_everything(config.seed)
    network = SpectralNetwork(config.spectral)
    splits = open_prepared(prepare(config.data, None, config.engine))
    waves = read_waves(splits["train"], config.spectral.sample_rate)
    begin_run(claimed.folder, as_yaml(config))
    task = CodecTask(network, training, config.schedule, config.seed)
    loggers = build_loggers(config.logger, config.run_name, claimed.folder)
    trainer = build_trainer(config.trainer, claimed.folder, [], loggers, training.steps, manual=True)
    crops = TrainingCrops(waves, training.clips, training.samples, config.seed, claimed.steps_done, training.steps)
    trainer.fit(task, DataLoader(crops, batch_size=None), ckpt_path=claimed.resume_from, weights_only=True)
    trainer.save_checkpoint(claimed.folder / "checkpoints" / "last.ckpt")
    close_loggers(loggers)
    save_spectral(task.finished_network(), claimed.folder / "model")
    return claimed.folder
