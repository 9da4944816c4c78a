"""Configuration: the typed schema, the recipes as a Hydra group, and one `validate` that reports every
problem at once.

`configs/` holds groups (one file is one choice), `recipes/*.yaml` whole experiments. Recipes are registered
in Hydra's store as group `recipe` in package `_global_`, so that `+recipe=base` works from any directory, in
a notebook and in sweeps. Hydra checks names and types; ranges and rules across keys stand in the `problems`
of each part.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import hydra
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from dia.checkpoint.init_from import filled_shape, initial_codec_problems, initial_problems
from dia.codecs.spectral_network import SpectralCodecConfig
from dia.config.bench_tasks import BenchPrepareConfig, BenchTrainConfig
from dia.config.codec_training import CodecTraining
from dia.config.command_line import quoted, words_as_key
from dia.config.divergence import DivergenceConfig
from dia.config.judges import CalibrateConfig
from dia.config.planning import PlanConfig
from dia.config.schemas import CodecConfig, EvalConfig, GenerateConfig
from dia.config.training import (
    BatchConfig,
    EarlyStoppingConfig,
    EMAConfig,
    LoggerConfig,
    TrainerConfig,
    unknown,
)
from dia.data.engines.run import EngineConfig
from dia.data.labels import LabelsConfig
from dia.data.prepare import DataConfig
from dia.errors import UserError
from dia.inference import Sampling
from dia.listening_test.settings import ListenConfig, VotesConfig
from dia.network import DiaConfig
from dia.resources import resource
from dia.systems.settings import RecordConfig
from dia.training.lora import LoraConfig
from dia.training.optimization import OptimConfig
from dia.training.schedule import ScheduleConfig

CONFIGS = str(resource("configs").resolve())
OPEN = ("mix", "optim.group_decay")  # dictionaries whose keys are the user's
DECLARED = "system."  # keys of a system to record, which its own declaration checks


@dataclass
class ValidationConfig:
    """Fixed scripts that are spoken and judged during training, on every ``speak_every``-th validation (0:
    never).
    """

    speak_every: int = 1
    scripts: int = 4
    """How many scripts of the validation split."""
    max_seconds: float = 8.0
    calibration_clips: int = 64
    """Clips of the validation split, and of the training split as many, that the detector of nonverbals is
    calibrated on.
    """


@dataclass
class TrainConfig:
    """Everything `python -m dia.train` and `python -m dia.prepare` read."""

    task: str = "dia"
    run_name: str = "run"
    runs: str = "runs"
    """Folder that run folders lie in, relative to the working directory."""
    seed: int = 0
    resume: str = "auto"
    """What becomes of a run that was cut off: `auto` goes on where it ends in the same weights as an unbroken
    run would, `true` goes on even where it does not, `false` never does."""
    init: str = ""
    """A checkpoint to start from: a path or a Hub id, in any layout. The model's shape is its own
    (`model=checkpoint`).
    """
    initializer_range: float | None = 0.02
    """Deviation of random weights. Dia's .02 belongs to a width of 2,048: a network of 192 made so never
    begins to read its text (recipes/nano.md). null leaves weights as torch makes them: uniform within 1 /
    sqrt(inputs), embeddings of deviation 1."""
    dropout: float = 0.0
    """Share of what each part of a layer adds that is lost in training: for a small model that sees its data
    many times.
    """
    objective: str = "cross_entropy"
    """`cross_entropy`, or `guided_distillation`: what `init` says, guided by `sampling`, is learned in one
    pass.
    """
    lora: LoraConfig = field(default_factory=LoraConfig)
    average: EMAConfig = field(default_factory=EMAConfig)
    early_stop: EarlyStoppingConfig = field(default_factory=EarlyStoppingConfig)
    model: DiaConfig = field(default_factory=DiaConfig)
    codec: CodecConfig = field(default_factory=CodecConfig)
    data: DataConfig = field(default_factory=DataConfig)
    voices: list[str] = field(default_factory=list)
    """Only clips of which one of these voices speaks every turn; empty is all."""
    labels: LabelsConfig = field(default_factory=LabelsConfig)
    mix: dict[str, float] = field(default_factory=dict)
    """Prepared data sets (folders) that are mixed into the training split, with their share of the draws."""
    batch: BatchConfig = field(default_factory=BatchConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    logger: LoggerConfig = field(default_factory=LoggerConfig)
    sampling: Sampling = field(default_factory=Sampling)
    engine: EngineConfig = field(default_factory=EngineConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    guard: DivergenceConfig = field(default_factory=DivergenceConfig)
    plan: bool = False
    """Print what the run will take (memory, hours, money) and do nothing."""
    planning: PlanConfig = field(default_factory=PlanConfig)
    spectral: SpectralCodecConfig = field(default_factory=SpectralCodecConfig)
    codec_training: CodecTraining = field(default_factory=CodecTraining)

    def __post_init__(self) -> None:
        self.resume = self.resume.lower()  # `resume=true` arrives as a boolean's text


@dataclass
class BenchConfig:
    """Everything `python -m dia.bench` reads."""

    model: DiaConfig = field(default_factory=DiaConfig)
    """The shape of random weights."""
    weights: str = "random"
    """`random`, or a checkpoint as `python -m dia.generate` opens it."""
    codec: CodecConfig = field(default_factory=lambda: CodecConfig(""))
    """Empty name: the checkpoint's; for random weights descript's 44.1 kHz model with random weights."""
    device: str = "cpu"
    threads: int = 0
    """0: all cores that this process may use."""
    variants: list[str] = field(
        default_factory=lambda: [
            "dia-fp32", "dia-bf16", "dia-int8", "dia-int4", "dia-fp32-compiled", "dia-int8-compiled",
            "transformers-fp32", "transformers-bf16", "transformers-fp32-compiled", "transformers-bf16-compiled",
        ]
    )  # fmt: skip
    """Whose code, with which weights, compiled or not: `dia-int8`, `transformers-bf16-compiled`."""
    rounds: int = 3
    steps: int = 16
    """Of a generation, in each round."""
    seconds: float = 1.0
    """Of sound, for what goes from text to sound; 0: the whole text for a batch, and nothing else."""
    batch: int = 1
    """Above 1, a batch is compared with its texts one by one."""
    memory: bool = True
    """Peak memory, each variant in a process of its own."""
    out: str = ""
    """JSON file of all that was measured."""


SCHEMAS: dict[str, type] = {
    "train": TrainConfig, "eval": EvalConfig, "generate": GenerateConfig, "bench": BenchConfig,
    "bench_prepare": BenchPrepareConfig, "bench_train": BenchTrainConfig, "calibrate": CalibrateConfig, "listen": ListenConfig,
    "votes": VotesConfig, "record": RecordConfig,
}  # fmt: skip


def recipes() -> list[str]:
    """Return the names of the recipes, sorted."""
    return sorted(path.stem for path in resource("recipes").glob("*.yaml"))


def register() -> None:
    """Put the schemas, the recipes and the systems to record into Hydra's store.

    A broken recipe fails when it is asked for, and names its file.
    """
    store = ConfigStore.instance()
    for name, schema in SCHEMAS.items():
        store.store(name=f"{name}_schema", node=schema)
    for name in recipes():
        path = resource(f"recipes/{name}.yaml")
        store.store(group="recipe", name=name, package="_global_", node=OmegaConf.load(path))
    for path in sorted(resource("eval/systems").glob("*.yaml")):
        store.store(group="system", name=path.stem, node=OmegaConf.load(path))


def compose(config_name: str, overrides: list[str]) -> DictConfig:
    """Compose a config in a notebook or a test, as the command line would. Raises as Hydra does."""
    check_recipe_arguments(overrides)
    GlobalHydra.instance().clear()
    with initialize_config_dir(CONFIGS, version_base="1.3"):
        return hydra_compose(config_name, overrides=[let_keys_be_new(argument) for argument in overrides])


def check_recipe_arguments(arguments: list[str]) -> None:
    """Raise :class:`UserError` for a recipe given so that Hydra would not load it, and for one that does not
    exist.

    Without this a wrong prefix leaves a plain key `recipe` behind and the default model is trained without a
    word.
    """
    listed = ", ".join(recipes())
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key.lstrip("+~") != "recipe":
            continue
        if not argument.startswith("+recipe="):
            raise UserError(f"{argument!r} does not load a recipe; write +recipe=NAME with one of: {listed}")
        for name in value.strip("[]").split(","):
            if name.strip() not in recipes():
                raise UserError(f"there is no recipe {name.strip()!r}; there are: {listed}")


def let_keys_be_new(argument: str) -> str:
    """Return a command-line argument whose dictionary (``mix={FOLDER: .3}``) may have keys that nobody
    foresaw.

    Hydra would refuse them without the two plus signs.
    """
    key = argument.partition("=")[0]
    return f"++{argument}" if key in OPEN or key.startswith(DECLARED) else argument


def quote_text(argument: str) -> str:
    """Return a command-line argument whose free text (``text=...``) Hydra takes as it stands.

    Unquoted, Hydra would read ``text=[S1] Hello, you`` as a list, and ``${...}`` as an interpolation.
    """
    key, equals, value = argument.partition("=")
    if key != "text" or not equals:
        return argument
    return f"text={quoted(value)}"


def validate(config: TrainConfig) -> None:
    """Raise :class:`UserError` with every problem of the config at once: key, value and remedy."""
    if problems := config_problems(config):
        raise UserError(
            "the configuration has problems:\n" + "\n".join(f"  - {problem}" for problem in problems)
        )


def config_problems(config: TrainConfig) -> list[str]:
    """Return every problem of the config: key, value and remedy."""
    parts = (
        config.trainer, config.batch, config.logger, config.optim, config.schedule, config.lora, config.average,
        config.early_stop, config.guard, config.planning,
    )  # fmt: skip
    problems = [
        *_key_problems(config),
        *(problem for part in parts for problem in part.problems()),
        *config.data.problems(),
        *config.labels.problems(),
        *config.engine.problems(),
        *config.sampling.problems(),
    ]
    if config.task == "dia":
        problems += [f"model.{problem}" for problem in config.model.problems()] + _start_problems(config)
    if config.task == "codec":
        problems += config.codec_training.problems() + _codec_problems(config)
    return problems


def _start_problems(config: TrainConfig) -> list[str]:
    """Rules between what training starts from and what is made of it."""
    found = unknown(("objective", config.objective, ("cross_entropy", "guided_distillation")))
    if not 0 <= config.dropout < 1:
        found.append(f"dropout={config.dropout} is a share; choose 0 to below 1 (usual 0 to .2)")
    if config.initializer_range is not None and config.initializer_range <= 0:
        found.append(
            f"initializer_range={config.initializer_range} must be above 0, or null: as torch makes weights"
        )
    distilled = config.objective == "guided_distillation"
    if config.init:
        found += initial_problems(config.init, config.model)
    elif distilled or config.lora.rank:
        what = "objective=guided_distillation" if distilled else f"lora.rank={config.lora.rank}"
        found.append(f"{what} needs a checkpoint to start from; give init=PATH or a Hub id")
    if distilled and not config.sampling.guided:
        found.append(
            f"sampling.cfg_scale={config.sampling.cfg_scale} guides nothing that could be distilled; usual is 3"
        )
    return found


def _codec_problems(config: TrainConfig) -> list[str]:
    """Rules that the codec's shape sets its training."""
    frame, found = config.spectral.hop * config.spectral.stride, []
    if config.codec_training.samples % frame:
        found.append(
            f"codec_training.samples={config.codec_training.samples} must be a multiple of {frame}, a codec frame"
        )
    if begun := config.codec_training.decoder_of:
        found += initial_codec_problems(begun, config.spectral)
    return found


def _key_problems(config: TrainConfig) -> list[str]:
    """Ranges of single keys."""
    found = unknown(
        ("task", config.task, ("dia", "codec")), ("resume", config.resume, ("auto", "true", "false"))
    )
    if not (all(share > 0 for share in config.mix.values()) and sum(config.mix.values()) < 1):
        found.append(f"mix={dict(config.mix)} must be shares above 0 that leave something to the data itself")
    if not config.run_name or "/" in config.run_name:
        found.append(f"run_name={config.run_name!r} must be a plain folder name")
    return found


def typed(composed: DictConfig) -> Any:
    """Return a composed config as the dataclass of its schema; what `model=checkpoint` leaves open comes from
    `init`.

    Raises :class:`UserError` when there is nothing it could come from.
    """
    config = OmegaConf.to_object(composed)
    if isinstance(config, TrainConfig):
        config.model = filled_shape(config.model, config.init)
    return config


def run(config_name: str, task: Callable[[Any], None]) -> None:
    """Run a front door: compose from the command line, build the typed config, call ``task`` with it.

    A :class:`UserError`, an unknown key or an unknown recipe prints one message to standard error and exits
    with 2. Everything else keeps its traceback.
    """
    entered = []

    @hydra.main(version_base="1.3", config_path=CONFIGS, config_name=config_name)
    def door(composed: DictConfig) -> None:
        entered.append(True)
        try:
            task(typed(composed))
        except UserError as error:
            print(error, file=sys.stderr)
            sys.exit(2)

    try:
        check_recipe_arguments(sys.argv[1:])
        _refuse_multirun(sys.argv[1:])
        sys.argv[1:] = [let_keys_be_new(quote_text(argument)) for argument in sys.argv[1:]]
        door()
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except SystemExit as stop:
        # Hydra leaves with 1 when it cannot compose; what fails after that keeps its own code
        sys.exit(2 if stop.code == 1 and not entered else stop.code)


def _refuse_multirun(arguments: list[str]) -> None:
    """Hydra would run all jobs in this process, each in the run folder of the one before."""
    if given := [argument for argument in arguments if argument in ("-m", "--multirun")]:
        raise UserError(
            f"{given[0]} is not how several runs are made here: python -m dia.sweep gives each a process and a folder, such as "
            "python -m dia.sweep +recipe=nano 'sweep.space={seed: [0, 1]}' sweep.sampler=grid"
        )


def run_one_of(
    doors: dict[str, tuple[str, Callable[[Any], None]]], words: dict[str, str] | None = None
) -> None:
    """Run a front door that has several commands: its first word names one (`python -m dia.bench prepare
    ...`), none means "".

    ``doors`` gives each command its config's name and its task, as :func:`run` takes them. ``words`` names,
    for a command that takes plain words after its name (`python -m dia.eval votes FILE FILE`), the key that
    lists them.
    """
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    command = "" if not word or "=" in word or word.startswith("-") else word
    if command not in doors:
        listed = ", ".join(sorted(filter(None, doors)))
        print(
            f"there is no command {command!r}; there are: {listed}, or none, followed by key=value",
            file=sys.stderr,
        )
        sys.exit(2)
    if command:
        del sys.argv[1]
    if key := (words or {}).get(command):
        sys.argv[1:] = words_as_key(sys.argv[1:], key)
    run(*doors[command])


register()
