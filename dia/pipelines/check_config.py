"""Validation of a training configuration, also against checkpoints, codecs and declarations.

Range checks of single keys are those of the dataclasses in dia/config. All problems are reported at once.
"""

from typing import TypeVar

from dia.checkpoint.init_from import filled_shape, initial_codec_problems, initial_problems
from dia.config.checks import bullet_list
from dia.config.choices import CorpusUse
from dia.config.codec import INITIAL_CODECS
from dia.config.data import PREFERENCES, SYNTHESIZED
from dia.config.train import CodecTrainConfig, DataRunConfig, EventDetectorTrainConfig, RunConfig, TrainConfig
from dia.data.sources.demo import tag_problems
from dia.dialogue.tags import known_tags
from dia.dialogue.text import MAX_BYTES
from dia.errors import UserError
from dia.files import is_plain_name
from dia.training.flops import PEAK_FLOPS
from dia.training.objectives import objective_type

Config = TypeVar("Config", bound=RunConfig)


def complete(config: Config) -> Config:
    """Fill the model shape that `model=checkpoint` leaves open, from the checkpoint `init_from`, and the
    longest clips of the data; return the config.

    Raises :class:`UserError` when the shape is open and there is no checkpoint.
    """
    if isinstance(config, TrainConfig):
        config.model = filled_shape(config.model, config.init_from)
        config.data.preferences.ckpt = config.data.preferences.ckpt or config.init_from
        _fill_limits(config)
    return config


def _fill_limits(config: TrainConfig) -> None:
    """Set the longest clips of the data to what the model and a batch hold, where they are not given."""
    data, model = config.data, config.model
    if data.use != CorpusUse.train or not data.tokens or model.problems():
        return
    if data.max_text_bytes is None:
        data.max_text_bytes = min(model.encoder.max_positions, MAX_BYTES)
    if data.max_frames is None:
        in_a_batch = config.batch.max_frames - 1 - max(model.delays)
        data.max_frames = max(1, min(model.max_frames, in_a_batch))


def validate(config: RunConfig) -> None:
    """Raise :class:`UserError` with every problem of the config: key, value and remedy."""
    if problems := config_problems(config):
        raise UserError(bullet_list("the configuration has problems:", problems))


def config_problems(config: RunConfig) -> list[str]:
    """Return every problem of the config: key, value and remedy."""
    problems = [
        problem for part in (config.trainer, config.logger, config.schedule) for problem in part.problems()
    ]
    if not is_plain_name(config.run_name):
        problems.append(f"run_name={config.run_name!r} must be a plain folder name")
    if isinstance(config, DataRunConfig):
        problems += config.data.problems() + config.engine.problems()
        if config.data.corpus in SYNTHESIZED:
            problems += tag_problems(f"data.{config.data.corpus}.tags", config.data.synthesis.tags)
    if isinstance(config, EventDetectorTrainConfig):
        problems += config.event_detector.problems() + config.engine.problems()
        problems += config.optim.problems()
        problems += [
            f"event_detector.tags has {tag!r}, which is no tag; there are: {', '.join(known_tags())}"
            for tag in config.event_detector.tags
            if tag not in known_tags()
        ]
    if isinstance(config, TrainConfig):
        problems += _dia_problems(config)
    if isinstance(config, CodecTrainConfig):
        problems += config.codec_training.problems() + _codec_problems(config)
    return problems


def _dia_problems(config: TrainConfig) -> list[str]:
    """Return the problems of the keys that only a run of a Dia network has."""
    parts = (
        config.batch,
        config.curriculum,
        config.optim,
        config.lora,
        config.ema,
        config.early_stopping,
        config.collapse,
        config.divergence,
        config.watchdog,
        config.planning,
        config.labels,
        config.sampling,
    )
    problems = [problem for part in parts for problem in part.problems()]
    if not (all(share > 0 for share in config.mix.values()) and sum(config.mix.values()) < 1):
        problems.append(
            f"mix={dict(config.mix)} must be shares above 0 whose sum is below 1, "
            "so that the data themselves have a share"
        )
    problems += price_problems(config) + config.alignment.problems(config.model)
    return problems + [f"model.{problem}" for problem in config.model.problems()] + _start_problems(config)


def price_problems(config: TrainConfig) -> list[str]:
    """Return a problem if the plan has a price for a GPU whose speed is not known."""
    unknown = sorted(config.planning.dollars_per_gpu_hour.keys() - PEAK_FLOPS.keys())
    if not unknown:
        return []
    return [
        f"planning.dollars_per_gpu_hour names {', '.join(unknown)}; the GPUs with known speed are "
        f"{', '.join(PEAK_FLOPS)}"
    ]


def _start_problems(config: TrainConfig) -> list[str]:
    """Return problems between the checkpoint that training starts from and what it is used for."""
    problems = []
    if not 0 <= config.dropout < 1:
        problems.append(f"dropout={config.dropout} is a share; choose 0 to below 1 (usual 0 to .2)")
    if config.initializer_range is not None and config.initializer_range <= 0:
        problems.append(
            f"initializer_range={config.initializer_range} must be above 0, or null for torch's default"
        )
    objective = objective_type(config.objective)
    if config.init_from:
        problems += initial_problems(config.init_from, config.model)
    elif objective.needs_checkpoint or config.lora.rank:
        key = (
            f"objective={config.objective}" if objective.needs_checkpoint else f"lora.rank={config.lora.rank}"
        )
        problems.append(f"{key} needs a checkpoint to start from; give init_from=PATH or a Hub id")
    problems += objective.problems(config)
    if config.alignment.weight and not objective.takes_alignment:
        problems.append(f"objective={config.objective} has no alignment loss; set alignment.weight=0")
    if config.trainer.float8 and config.lora.rank:
        problems.append("trainer.float8 does not round adapters; leave it out, or set lora.rank=0")
    if config.batch.packed and not objective.takes_packed:
        problems.append(f"objective={config.objective} takes no packed batches; leave out batch.packed=true")
    if objective.reads.from_preferences and config.data.corpus != PREFERENCES:
        problems.append(
            f"objective={config.objective} learns from pairs of takes; give data=preferences with "
            "data.preferences.ckpt and data.preferences.scripts"
        )
    return problems


def _codec_problems(config: CodecTrainConfig) -> list[str]:
    """Return problems between the codec's shape and its training."""
    training, frame, problems = config.codec_training, config.spectral.hop * config.spectral.stride, []
    if training.clip_samples % frame:
        problems.append(
            f"codec_training.clip_samples={training.clip_samples} must be a multiple of "
            f"{frame}, a codec frame"
        )
    for key in INITIAL_CODECS:
        if codec := getattr(training, key):
            problems += initial_codec_problems(key, codec, config.spectral)
    return problems
