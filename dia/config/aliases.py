"""Old names of configuration keys: they keep working for one release, with a warning that names the new key.

They occur on the command line, in users' recipes, in the config.yaml of run folders, in the fingerprints of
training checkpoints, and in adapters. A name that ends with a dot renames a whole group of keys.
"""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

logger = logging.getLogger(__name__)

MODEL_ALIASES = {
    "encoder.width": "encoder.hidden_size",
    "encoder.inner_width": "encoder.intermediate_size",
    "encoder.head_width": "encoder.head_dim",
    "encoder.vocabulary": "encoder.vocab_size",
    "decoder.width": "decoder.hidden_size",
    "decoder.inner_width": "decoder.intermediate_size",
    "decoder.head_width": "decoder.head_dim",
    "decoder.cross_head_width": "decoder.cross_head_dim",
}
TRAIN_ALIASES = {
    "init": "init_from",
    "average.": "ema.",
    "early_stop.figure": "early_stopping.monitor",
    "early_stop.goal": "early_stopping.mode",
    "early_stop.least": "early_stopping.min_delta",
    "early_stop.": "early_stopping.",
    "guard.divergence_factor": "divergence.factor",
    "guard.divergence_steps": "divergence.patience",
    "guard.median_steps": "divergence.median_window",
    "guard.stall_seconds": "watchdog.timeout_seconds",
    "batch.frames": "batch.max_frames",
    "batch.short_epochs": "curriculum.epochs",
    "batch.short_share": "curriculum.shortest_fraction",
    "trainer.accumulate": "trainer.gradient_accumulation_steps",
    "trainer.activations": "trainer.activation_checkpointing",
    "trainer.loader_processes": "trainer.num_workers",
    "optim.clip_norm": "optim.max_grad_norm",
    "optim.group_decay": "optim.weight_decay_by_group",
    "validation.speak_every": "validation.generate_every",
    "planning.dollars_an_hour": "planning.dollars_per_gpu_hour",
    "planning.text_bytes_a_second": "planning.text_bytes_per_second",
    "engine.patience": "engine.startup_minutes",
    "codec_training.detail_from": "codec_training.refiner_start",
    "codec_training.clips": "codec_training.batch_size",
    "codec_training.samples": "codec_training.clip_samples",
    "codec_training.average_decay": "codec_training.ema_decay",
    "codec_training.sounds": "codec_training.nonverbal_fraction",
    "codec_training.decoder_of": "codec_training.finetune_decoder_of",
} | {f"model.{old}": f"model.{new}" for old, new in MODEL_ALIASES.items()}
BENCH_ALIASES = {f"model.{old}": f"model.{new}" for old, new in MODEL_ALIASES.items()}
SWEEP_ALIASES = {"figure": "metric", "goal": "mode", "take": "select"}
ALIASES: dict[str, dict[str, str]] = {
    "train": TRAIN_ALIASES,
    "eval": {"before": "baseline"},
    "listen": {"sounds": "audio"},
    "record": {
        "retry.first_seconds": "retry.min_wait_seconds",
        "retry.longest_seconds": "retry.max_wait_seconds",
    },
    "bench": BENCH_ALIASES,
    "bench_train": BENCH_ALIASES | {"warm": "warmup_steps", "curves": "loss_curve_steps"},
}


def new_key(key: str, aliases: Mapping[str, str]) -> str:
    """Return the present name of a dotted key."""
    for old, new in aliases.items():
        if old.endswith(".") and f"{key}." == old:
            return new.removesuffix(".")
        if old.endswith(".") and key.startswith(old):
            return new + key.removeprefix(old)
        if key == old or key.startswith(f"{old}."):
            return new + key.removeprefix(old)
    return key


def rename_flat(content: Mapping[str, Any], aliases: Mapping[str, str] = TRAIN_ALIASES) -> dict[str, Any]:
    """Return a flat dictionary with its dotted keys under their present names."""
    return {new_key(key, aliases): value for key, value in content.items()}


def rename_nested(content: Mapping[str, Any], aliases: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Return a nested configuration under present names, and the old keys that it has.

    Raises ``ValueError`` when it has an old name and the present one of the same key.
    """
    renamed: dict[str, Any] = {}
    outdated: list[str] = []
    for key, value in _leaves(content, "", aliases):
        present = new_key(key, aliases)
        if present != key:
            outdated.append(key)
        _insert(renamed, present.split("."), value, key)
    return renamed, outdated


def rename_arguments(arguments: Iterable[str], aliases: Mapping[str, str]) -> list[str]:
    """Return command-line arguments under present names; warn of each old one.

    A dictionary as a value (``batch={frames: 100}``) is not searched.
    """
    renamed = []
    for argument in arguments:
        prefix = argument[: len(argument) - len(argument.lstrip("+~"))]
        key, equals, value = argument[len(prefix) :].partition("=")
        present = new_key(key, aliases)
        if present != key:
            warn_of_old_names([key], aliases, "the command line")
        renamed.append(f"{prefix}{present}{equals}{value}")
    return renamed


def warn_of_old_names(keys: Iterable[str], aliases: Mapping[str, str], where: str) -> None:
    """Log a warning that names the present key of each old one."""
    for key in keys:
        logger.warning("%s: %s is now called %s", where, key, new_key(key, aliases))


def _leaves(content: Mapping[str, Any], before: str, aliases: Mapping[str, str]) -> Iterable[tuple[str, Any]]:
    """Yield values by dotted key, deep enough that every alias is reached; other dictionaries stay whole."""
    for name, value in content.items():
        key = f"{before}{name}"
        deeper = any(old.startswith(f"{key}.") and old != f"{key}." for old in aliases)
        if isinstance(value, Mapping) and deeper:
            yield from _leaves(value, f"{key}.", aliases)
        else:
            yield key, value


def _insert(target: dict[str, Any], path: list[str], value: Any, old: str) -> None:
    """Set a nested value; dictionaries that are there already are merged."""
    *parents, last = path
    for name in parents:
        target = target.setdefault(name, {})
    if last in target and isinstance(target[last], dict) and isinstance(value, Mapping):
        target[last] |= value
    elif last in target:
        raise ValueError(f"{old} and {'.'.join(path)} are the same key; give the second only")
    else:
        target[last] = dict(value) if isinstance(value, Mapping) else value
