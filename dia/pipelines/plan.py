"""Plan a run from its config: memory, time and cost, without loading, preparing or allocating anything."""

from functools import partial

from rich.console import Console

from dia.codecs.registry import codec_shape
from dia.config.choices import TrainingData
from dia.config.train import RunConfig, TrainConfig
from dia.errors import UserError
from dia.pipelines.check_config import price_problems
from dia.pipelines.preflight import require_none
from dia.planning.model_stats import ModelStats
from dia.planning.planner import Generation, Job, Planner
from dia.planning.report import WIDTH, show_plan
from dia.training.objectives import objective_type

USUAL_GPUS = 8  # of a distributed run whose number of processes is open


def plan(config: RunConfig, console: Console | None = None) -> None:
    """Print the plan. Raises :class:`UserError` with everything that prevents it."""
    if not isinstance(config, TrainConfig):
        raise UserError(f"plan=true supports task=dia only, not task={config.task}")
    settings = config.planning
    require_none(plan_problems(config))
    frame_rate = settings.frame_rate or _frame_rate(config.codec.name)
    if frame_rate is None:
        raise UserError(f"the frame rate of codec {config.codec.name} is unknown; set planning.frame_rate")
    objective = partial(objective_type(config.objective).from_config, config)
    stats = ModelStats(config.model, config.lora, objective, config.dropout)
    show_plan(Planner(stats, settings, frame_rate), job_of(config), console or Console(width=WIDTH))


def _frame_rate(codec: str) -> float | None:
    shape = codec_shape(codec)
    return None if shape is None else shape.frame_rate


def plan_problems(config: TrainConfig) -> list[str]:
    """Return the problems of the keys that a plan reads; the initial checkpoint need not exist."""
    problems = [f"model.{problem}" for problem in config.model.problems()]
    if config.planning.gpus > 1 and not config.trainer.strategy.distributed:
        problems.append(
            f"planning.gpus={config.planning.gpus}, but trainer.strategy=single uses one GPU; choose "
            "trainer=ddp or trainer=fsdp2"
        )
    groups = (config.trainer, config.batch, config.optim, config.lora, config.ema, config.planning)
    return problems + [problem for group in groups for problem in group.problems()] + price_problems(config)


def job_of(config: TrainConfig) -> Job:
    """Return the keys of a config that memory and time depend on."""
    trainer = config.trainer
    return Job(
        gpus=gpus_of(config),
        strategy=trainer.strategy,
        precision=trainer.precision,
        activations=trainer.activation_checkpointing,
        optimizer=config.optim.kind,
        frames=config.batch.max_frames,
        accumulation=trainer.gradient_accumulation_steps,
        steps=trainer.steps,
        use_ema=config.ema.decay > 0,
        generation=_generation(config),
    )


def _generation(config: TrainConfig) -> Generation | None:
    """Return the takes that an optimizer step generates, None where it generates none."""
    if objective_type(config.objective).reads is not TrainingData.groups:
        return None
    return Generation(config.grpo.prompts * config.grpo.takes, 2 if config.sampling.guided else 1)


def gpus_of(config: TrainConfig) -> int:
    """Return the number of GPUs that a plan assumes."""
    trainer = config.trainer
    if config.planning.gpus:
        return config.planning.gpus
    usual = USUAL_GPUS if trainer.strategy.distributed else 1
    return (trainer.devices or usual) * (trainer.nodes or 1)
