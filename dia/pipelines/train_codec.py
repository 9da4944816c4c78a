"""Train the spectral codec: preflight, waveforms, Lightning module, Trainer.fit, runs/<run_name>/model."""

from pathlib import Path

import lightning as L
from datasets import DatasetDict
from torch.utils.data import DataLoader

from dia.codecs.registry import codec_path, load_codec
from dia.codecs.spectral import load_network, save_spectral
from dia.codecs.spectral_network import SpectralNetwork
from dia.config.codec import SpectralCodecConfig
from dia.config.train import CodecTrainConfig
from dia.data.codec_dataset import TrainingCrops, load_split_audio
from dia.pipelines.preflight import as_yaml, open_data, preflight
from dia.training.codec_module import CodecModule
from dia.training.loggers import build_loggers, close_loggers
from dia.training.run_folder import PreparedRun, begin_run, finish_run, run_lock
from dia.training.run_inputs import RunInputs, write_inputs
from dia.training.trainer import build_trainer


def train_codec(config: CodecTrainConfig) -> Path:
    """Train the spectral codec and return the run folder. Raises :class:`UserError`."""
    prepared = preflight(config)
    # data that the initial codec has tokenized hold the audio as well
    codec = load_codec(config.codec_name) if config.codec_name else None
    splits, prepared = open_data(config, codec, prepared)
    with run_lock(prepared.state.folder):
        return _train(config, splits, prepared)


def _train(config: CodecTrainConfig, splits: DatasetDict, prepared: PreparedRun) -> Path:
    training, state = config.codec_training, prepared.state
    L.seed_everything(config.seed, verbose=False)
    network = initial_network(training.initial, config.spectral)
    audio = load_split_audio(splits["train"], config.spectral.sample_rate)
    begin_run(state.folder, as_yaml(config))
    write_inputs(state.folder, RunInputs(prepared.fingerprint.data))
    task = CodecModule(network, training, config.schedule, config.seed)
    loggers = build_loggers(config.logger, config.run_name, state.folder)
    trainer = build_trainer(config.trainer, prepared, [], loggers, training.steps, manual_optimization=True)
    with_nonverbals = round(training.nonverbal_fraction * training.batch_size)
    crops = TrainingCrops(
        audio,
        training.batch_size,
        training.clip_samples,
        with_nonverbals,
        config.seed,
        state.steps_done,
        training.steps,
    )
    trainer.fit(task, DataLoader(crops, batch_size=None), ckpt_path=state.checkpoint, weights_only=True)
    close_loggers(loggers)
    save_spectral(task.finished_network(), state.folder / "model")
    finish_run(state.folder, trainer.global_step)
    return state.folder


def initial_network(codec: str, shape: SpectralCodecConfig) -> SpectralNetwork:
    """Return the network of a codec, random if none is given, with the decoding settings of ``shape``."""
    if not codec:
        return SpectralNetwork(shape)
    network = load_network(codec_path(codec))
    # a codec whose flow was distilled has one step, its successor has a flow of several again
    network.config = shape
    return network
