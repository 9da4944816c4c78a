"""Keys that are read only under a condition, and the check that refuses those without effect.

A key counts when it was given on the command line, or in a recipe, with another value than its default. A
recipe's key is not refused when the command line changes what the condition depends on.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dia.config.choices import EmotionLabels, EngineKind, NonverbalLabels, ScheduleKind, Strategy, WandbMode
from dia.config.data import PREPARED, RECORDINGS, SYNTHESIZED

LOCAL = "data=corpus data.corpus=local data.path=FOLDER for a folder with a table of texts"
RAW = "data=recordings data.path=FOLDER for raw recordings"


@dataclass(frozen=True)
class Reader:
    """When keys are read. A name in ``keys`` stands for the keys below it too."""

    keys: tuple[str, ...]
    read: Callable[[Any], bool]
    """Given the composed config, whether the keys have an effect."""
    depends: tuple[str, ...]
    """Keys and groups that ``read`` looks at."""
    why: str
    """What reads the keys, and the remedy."""


def _corpus(config: Any) -> str:
    return str(config.data.corpus)


def _declared(config: Any) -> bool:
    return _corpus(config) not in (*SYNTHESIZED, RECORDINGS, PREPARED)


READERS = (
    Reader(
        ("data.path",),
        lambda config: _corpus(config) not in SYNTHESIZED,
        ("data", "data.corpus"),
        "is read by data=recordings and data=corpus; the demo corpus is generated and has no folder. "
        f"Use {RAW}, or {LOCAL}",
    ),
    Reader(
        ("data.demo",),
        lambda config: _corpus(config) == "demo",
        ("data", "data.corpus"),
        "is read by the demo corpus only; use data=demo, or leave it out",
    ),
    Reader(
        ("data.open_english",),
        lambda config: _corpus(config) == "open_english",
        ("data", "data.corpus"),
        "is read by the corpus open_english only; use data=open_english, or leave it out",
    ),
    Reader(
        ("data.recordings",),
        lambda config: _corpus(config) == RECORDINGS,
        ("data", "data.corpus"),
        f"is read by raw recordings only; use {RAW}, or leave it out",
    ),
    Reader(
        ("data.use", "data.unknown", "data.streaming", "data.limit", "data.labels", "data.held_out"),
        _declared,
        ("data", "data.corpus"),
        "is read by declared corpora only; use data=corpus data.corpus=NAME, or leave it out",
    ),
    Reader(
        ("data.licence", "data.dialogue", "data.outside"),
        lambda config: _corpus(config) not in SYNTHESIZED,
        ("data", "data.corpus"),
        f"is not read by the demo corpus; use {RAW}, or data=corpus data.corpus=NAME, or leave it out",
    ),
    Reader(
        ("schedule.decay_fraction",),
        lambda config: config.schedule.kind == ScheduleKind.wsd,
        ("schedule", "schedule.kind"),
        "is read by schedule=wsd; use that schedule, or leave it out",
    ),
    Reader(
        ("lora.alpha", "lora.dropout", "lora.targets"),
        lambda config: config.lora.rank != 0,
        ("lora.rank",),
        "is read with adapters only; set lora.rank=32 or another rank, or leave it out",
    ),
    Reader(
        ("trainer.devices", "trainer.nodes"),
        lambda config: Strategy(config.trainer.strategy).distributed,
        ("trainer", "trainer.strategy"),
        "is read by trainer=ddp and trainer=fsdp2; use one of them and torchrun, or leave it out",
    ),
    Reader(
        ("early_stopping.monitor", "early_stopping.mode", "early_stopping.min_delta"),
        lambda config: config.early_stopping.patience > 0,
        ("early_stopping.patience",),
        "is read with early stopping only; set early_stopping.patience=5, or leave it out",
    ),
    Reader(
        ("curriculum.shortest_fraction",),
        lambda config: config.curriculum.epochs > 0,
        ("curriculum.epochs",),
        "is read with a curriculum only; set curriculum.epochs=6, or leave it out",
    ),
    Reader(
        ("labels.emotion_dropout",),
        lambda config: config.labels.emotion != EmotionLabels.off,
        ("labels.emotion",),
        "is read with emotion labels only; set labels.emotion=prefix, or leave it out",
    ),
    Reader(
        ("labels.voice_prompt",),
        lambda config: config.labels.emotion != EmotionLabels.prompt,
        ("labels.emotion",),
        "is not read with labels.emotion=prompt, whose prompts follow labels.emotion_dropout; leave it out",
    ),
    Reader(
        ("labels.tagged_share",),
        lambda config: config.labels.nonverbals == NonverbalLabels.inline,
        ("labels.nonverbals",),
        "is read with nonverbal tags only; set labels.nonverbals=inline, or leave it out",
    ),
    Reader(
        ("engine.scheduler", "engine.slurm", "engine.startup_minutes"),
        lambda config: config.engine.kind == EngineKind.dask,
        ("engine", "engine.kind"),
        "is read by engine=dask; use that engine, or leave it out",
    ),
    Reader(
        ("engine.slurm", "engine.startup_minutes"),
        lambda config: config.engine.kind != EngineKind.dask or config.engine.scheduler == "slurm",
        ("engine", "engine.kind", "engine.scheduler"),
        "is read with engine.scheduler=slurm; set it, or leave it out",
    ),
    Reader(
        ("validation.scripts", "validation.max_seconds", "validation.calibration_clips"),
        lambda config: config.validation.generate_every > 0,
        ("validation.generate_every",),
        "is read when samples are generated; set validation.generate_every=1, or leave it out",
    ),
    Reader(
        ("logger.project",),
        lambda config: config.logger.wandb != WandbMode.disabled,
        ("logger", "logger.wandb"),
        "is read by Weights & Biases; use logger=wandb, or leave it out",
    ),
    Reader(
        ("planning",),
        lambda config: bool(config.plan),
        ("plan",),
        "is read by plans; add plan=true, or leave it out",
    ),
    Reader(
        ("sampling.cfg_steps",),
        lambda config: (
            "task" not in config or config.sampling.cfg_final is not None
        ),  # else the checkpoint's counts
        ("sampling", "sampling.cfg_final"),
        "is read when guidance changes along a generation; set sampling.cfg_final=1, or leave it out",
    ),
)


def ineffective_keys(
    config: Any,
    given: Mapping[str, Any],
    by_recipe: Mapping[str, Any],
    changed: Iterable[str],
    defaults: Mapping[str, Any],
) -> list[str]:
    """Return a problem for each key that was given and that nothing reads.

    ``given`` are keys of the command line with their values, ``by_recipe`` those of recipes; ``changed`` are
    all keys and groups of the command line.
    """
    changed, problems = set(changed), []
    for reader in READERS:
        candidates = dict(given)
        if not changed.intersection(reader.depends):
            candidates |= {key: value for key, value in by_recipe.items() if key not in given}
        ignored = [
            (key, value)
            for key, value in candidates.items()
            if any(key == name or key.startswith(f"{name}.") for name in reader.keys)
            and defaults.get(key, ...) != value
        ]
        if not ignored or not _has_parts(config, reader) or reader.read(config):
            continue
        problems += [f"{key}={value} has no effect: {key} {reader.why}" for key, value in ignored]
    return problems


def _has_parts(config: Any, reader: Reader) -> bool:
    """Return whether the config has the groups of the reader's condition; some doors have few groups."""
    return all(name.partition(".")[0] in config for name in (*reader.keys, *reader.depends[-1:]))
