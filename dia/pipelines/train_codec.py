"""Train the small spectral codec: preflight -> waveforms -> task -> Trainer.fit -> runs/<run_name>/model."""

from pathlib import Path

import lightning as L
from datasets import DatasetDict
from torch.utils.data import DataLoader

from dia.codecs.registry import codec_path, load_codec
from dia.codecs.spectral import load_network, save_spectral
from dia.codecs.spectral_network import SpectralNetwork
from dia.config.train import TrainConfig
from dia.data.codec_dataset import TrainingCrops, load_split_audio
from dia.pipelines.preflight import as_yaml, opened_data, preflight
from dia.training.codec_module import CodecModule
from dia.training.loggers import build_loggers, close_loggers
from dia.training.run_folder import Ready, begin_run, finish_run, run_lock
from dia.training.trainer import build_trainer


def train_codec(config: TrainConfig) -> Path:
    """Train the spectral codec and return the run folder. Raises ``UserError`` as its parts do."""
    ready, begun = preflight(config), config.codec_training.finetune_decoder_of
    codec = (
        load_codec(begun) if begun and config.data.tokens else None
    )  # what it tokenized holds the sound as well
    splits, ready = opened_data(config, codec, ready)
    with run_lock(ready.run.folder):
        return _train(config, splits, ready)


def _train(config: TrainConfig, splits: DatasetDict, ready: Ready) -> Path:
    training, claimed = config.codec_training, ready.run
    L.seed_everything(config.seed)
    begun = training.finetune_decoder_of
    network = load_network(codec_path(begun)) if begun else SpectralNetwork(config.spectral)
    sound = load_split_audio(splits["train"], config.spectral.sample_rate)
    begin_run(claimed.folder, as_yaml(config))
    task = CodecModule(network, training, config.schedule, config.seed)
    loggers = build_loggers(config.logger, config.run_name, claimed.folder)
    trainer = build_trainer(config.trainer, ready, [], loggers, training.steps, manual=True)
    holding = round(training.nonverbal_fraction * training.batch_size)
    crops = TrainingCrops(
        sound,
        training.batch_size,
        training.clip_samples,
        holding,
        config.seed,
        claimed.steps_done,
        training.steps,
    )
    trainer.fit(task, DataLoader(crops, batch_size=None), ckpt_path=claimed.checkpoint, weights_only=True)
    close_loggers(loggers)
    save_spectral(task.finished_network(), claimed.folder / "model")
    finish_run(claimed.folder, trainer.global_step)
    return claimed.folder
