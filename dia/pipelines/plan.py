"""The plan of a run, from its config: nothing is loaded, prepared or allocated."""

from rich.console import Console

from dia.codecs.registry import codec_shape
from dia.config.train import TrainConfig
from dia.errors import UserError
from dia.pipelines.check_config import price_problems
from dia.pipelines.preflight import require_none
from dia.planning.model_stats import Trained
from dia.planning.planner import Job, Planner
from dia.planning.report import show_plan


def plan(config: TrainConfig, console: Console | None = None) -> None:
    """Print the plan. Raises :class:`UserError` for what cannot be planned."""
    settings = config.planning
    require_none(plan_problems(config))
    if config.task != "dia":
        raise UserError(f"task={config.task} is not planned; plan=true is for task=dia")
    frame_rate = settings.frame_rate or _frame_rate(config.codec.name)
    if frame_rate is None:
        raise UserError(
            f"the frames a second of the codec {config.codec.name} are not known; set planning.frame_rate"
        )
    trained = Trained(config.model, config.lora, config.objective == "guided_distillation", config.dropout)
    show_plan(Planner(trained, settings, frame_rate), job_of(config), console or Console(width=120))


def _frame_rate(codec: str) -> float | None:
    shape = codec_shape(codec)
    return None if shape is None else shape.frame_rate


def plan_problems(config: TrainConfig) -> list[str]:
    """Return what is wrong with the keys that a plan depends on; a checkpoint to start from need not be
    there.
    """
    parts = (config.trainer, config.batch, config.optim, config.lora, config.ema, config.planning)
    found = [f"model.{problem}" for problem in config.model.problems()]
    if config.planning.gpus > 1 and not config.trainer.strategy.distributed:
        found.append(
            f"planning.gpus={config.planning.gpus}, but trainer.strategy=single is for one; choose trainer=ddp or fsdp2"
        )
    problems = [problem for part in parts for problem in part.problems()]
    return found + problems + price_problems(config)


def job_of(config: TrainConfig) -> Job:
    """Return what is planned of a config."""
    trainer = config.trainer
    return Job(
        gpus_of(config), trainer.strategy, trainer.precision, trainer.activation_checkpointing, config.optim.kind, config.batch.max_frames,
        trainer.gradient_accumulation_steps, trainer.steps, config.ema.decay > 0,
    )  # fmt: skip


def gpus_of(config: TrainConfig) -> int:
    """Return the number of GPUs that a plan is for."""
    trainer = config.trainer
    if config.planning.gpus:
        return config.planning.gpus
    usual = 8 if trainer.strategy.distributed else 1
    return (trainer.devices or usual) * (trainer.nodes or 1)
