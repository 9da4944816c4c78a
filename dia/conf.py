"""Configuration: the typed schema, the recipes as a Hydra group, and one `validate` that reports every problem at once.

`configs/` holds groups (one file is one choice), `recipes/*.yaml` whole experiments. Recipes are registered in Hydra's
store as group `recipe` in package `_global_`, so that `+recipe=base` works from any directory, in a notebook and in
sweeps. Hydra checks names and types; ranges and rules across keys stand in the `problems` of each part.
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

from dia.audio.spectral import SpectralCodecConfig
from dia.data.engine import EngineConfig
from dia.data.labels import LabelsConfig
from dia.data.prepare import DataConfig
from dia.errors import UserError
from dia.inference import Sampling
from dia.network import DiaConfig
from dia.resources import resource
from dia.training.codec_settings import CodecTraining
from dia.training.guard_settings import GuardConfig
from dia.training.optimization import OptimConfig, ScheduleConfig
from dia.training.plan_settings import PlanConfig
from dia.training.settings import BatchConfig, LoggerConfig, TrainerConfig, unknown

CONFIGS = str(resource("configs").resolve())


@dataclass
class CodecConfig:
    """The codec: a shipped name (`codec_nano`), a DAC model by name (`dac_44khz`), a `.pth` file or a folder."""

    name: str = "codec_nano"


@dataclass
class ValidationConfig:
    """Fixed scripts that are spoken and judged during training, on every ``speak_every``-th validation (0: never)."""

    speak_every: int = 1
    scripts: int = 4
    """How many scripts of the validation split."""
    max_seconds: float = 8.0
    calibration_clips: int = 64
    """Clips of the validation split, and of the training split as many, that the detector of nonverbals is calibrated on."""


@dataclass
class SamplingOverrides:
    """Sampling values that replace the checkpoint's own; null leaves its own."""

    cfg_scale: float | None = None
    temperature: float | None = None
    top_p: float | None = None
    cfg_filter_top_k: int | None = None
    cfg_final: float | None = None
    cfg_steps: int | None = None
    cfg_rescale: float | None = None
    draw_guided: bool | None = None


@dataclass
class TrainConfig:
    """Everything `python -m dia.train` and `python -m dia.prepare` read."""

    task: str = "dia"
    run_name: str = "run"
    runs: str = "runs"
    """Folder that run folders lie in, relative to the working directory."""
    seed: int = 0
    resume: str = "auto"
    """What becomes of a run that was cut off: `auto` goes on where it ends in the same weights as an unbroken run would, `true`
    goes on even where it does not, `false` never does."""
    model: DiaConfig = field(default_factory=DiaConfig)
    codec: CodecConfig = field(default_factory=CodecConfig)
    data: DataConfig = field(default_factory=DataConfig)
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
    guard: GuardConfig = field(default_factory=GuardConfig)
    plan: bool = False
    """Print what the run will take (memory, hours, money) and do nothing."""
    planning: PlanConfig = field(default_factory=PlanConfig)
    spectral: SpectralCodecConfig = field(default_factory=SpectralCodecConfig)
    codec_training: CodecTraining = field(default_factory=CodecTraining)

    def __post_init__(self) -> None:
        self.resume = self.resume.lower()  # `resume=true` arrives as a boolean's text


@dataclass
class EvalConfig:
    """Everything `python -m dia.eval` reads."""

    ckpt: str = "codec_nano"
    suite: str = "quick"
    out: str = ""
    """Folder of the report; empty puts it into the run folder or beside the checkpoint's name under `outputs`."""
    data: DataConfig = field(default_factory=DataConfig)
    codec: CodecConfig = field(default_factory=lambda: CodecConfig(""))
    """Empty name: the codec that the checkpoint names."""
    quantization: str | None = None
    """Null, `int8` or `int4`."""
    sampling: SamplingOverrides = field(default_factory=SamplingOverrides)


@dataclass
class GenerateConfig:
    """Everything `python -m dia.generate` reads."""

    text: str = ""
    out: str = "speech.wav"
    ckpt: str = "dia_nano"
    seed: int = 0
    max_seconds: float = 0.0
    """Longest sound; 0 is all the model can do."""
    audio_prompt: str = ""
    """A recording of the voice; its transcript must begin the text."""
    voice: str = ""
    """A file that `Dia.make_voice(...).save(path)` wrote; it brings its transcript. With one the text may be of any length."""
    speed: float = 1.0
    """Pace, at the same pitch."""
    retries: int = 0
    """How often what fails (no end, hurry, silence, loops, a cut-off end) is spoken again."""
    quantization: str | None = None
    """Null, `int8` or `int4`."""
    codec: CodecConfig = field(default_factory=lambda: CodecConfig(""))
    """Empty name: the codec that the checkpoint names."""
    sampling: SamplingOverrides = field(default_factory=SamplingOverrides)


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


@dataclass
class BenchPrepareConfig:
    """Everything `python -m dia.bench prepare` reads."""

    codec: CodecConfig = field(default_factory=lambda: CodecConfig(""))
    """Empty name: descript's 44.1 kHz model with random weights."""
    workers: int = 2
    """Processes of ours, and threads of dac's command."""
    growth: bool = True
    """Whether growing inputs are prepared."""
    seconds: float = 16.0
    """Of sound, once."""
    scales: list[int] = field(default_factory=lambda: [1, 4, 16])
    dac: bool = True
    """Whether dac's own `encode` command is measured beside; it needs a DAC's `.pth` file, or the random weights."""
    rounds: int = 3
    dac_seconds: float = 48.0
    """Of sound that both encode, in each round."""
    dac_window: float = 0.0
    """Seconds of dac's windows; 0 lets none cut a clip, so that its codes are those of the whole (its own default is 5)."""
    out: str = ""
    """JSON file of all that was measured."""


@dataclass
class BenchTrainConfig:
    """Everything `python -m dia.bench train` reads."""

    model: DiaConfig = field(default_factory=DiaConfig)
    precision: str = "32-true"
    """`32-true` or `bf16-mixed`."""
    rounds: int = 3
    steps: int = 20
    """Of a run."""
    warm: int = 3
    """Steps of a run that do not count."""
    clips: int = 6
    """Clips a step, on the average."""
    median_frames: float = 260.0
    """Half of the clips are shorter: three seconds of DAC's frames."""
    deviation: float = 0.6
    """Of the logarithm of the clips' lengths; 0 makes them all the same."""
    curves: int = 12
    """Steps of the runs with equal objectives and batches, whose losses are compared; 0 leaves that out."""
    threads: int = 0
    """0: all cores that this process may use."""
    out: str = ""
    """JSON file of all that was measured."""


SCHEMAS: dict[str, type] = {
    "train": TrainConfig, "eval": EvalConfig, "generate": GenerateConfig, "bench": BenchConfig,
    "bench_prepare": BenchPrepareConfig, "bench_train": BenchTrainConfig,
}  # fmt: skip


def recipes() -> list[str]:
    """Return the names of the recipes, sorted."""
    return sorted(path.stem for path in resource("recipes").glob("*.yaml"))


def register() -> None:
    """Put the schemas and the recipes into Hydra's store; a broken recipe fails when it is asked for, and names its file."""
    store = ConfigStore.instance()
    for name, schema in SCHEMAS.items():
        store.store(name=f"{name}_schema", node=schema)
    for name in recipes():
        path = resource(f"recipes/{name}.yaml")
        store.store(group="recipe", name=name, package="_global_", node=OmegaConf.load(path))


def compose(config_name: str, overrides: list[str]) -> DictConfig:
    """Compose a config in a notebook or a test, as the command line would. Raises as Hydra does."""
    check_recipe_arguments(overrides)
    GlobalHydra.instance().clear()
    with initialize_config_dir(CONFIGS, version_base="1.3"):
        return hydra_compose(config_name, overrides=overrides)


def check_recipe_arguments(arguments: list[str]) -> None:
    """Raise :class:`UserError` for a recipe given so that Hydra would not load it, and for one that does not exist.

    Without this a wrong prefix leaves a plain key `recipe` behind and the default model is trained without a word.
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


def quote_text(argument: str) -> str:
    """Return a command-line argument whose free text (``text=...``) Hydra takes as it stands.

    Unquoted, Hydra would read ``text=[S1] Hello, you`` as a list, and ``${...}`` as an interpolation.
    """
    key, equals, value = argument.partition("=")
    if key != "text" or not equals:
        return argument
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("${", "\\${")
    return f'text="{escaped}"'


def validate(config: TrainConfig) -> None:
    """Raise :class:`UserError` with every problem of the config at once: key, value and remedy."""
    if problems := config_problems(config):
        raise UserError("the configuration has problems:\n" + "\n".join(f"  - {problem}" for problem in problems))


def config_problems(config: TrainConfig) -> list[str]:
    """Return every problem of the config: key, value and remedy."""
    parts = (config.trainer, config.batch, config.logger, config.optim, config.schedule, config.guard, config.planning)
    problems = [
        *_key_problems(config),
        *(problem for part in parts for problem in part.problems()),
        *config.data.problems(),
        *config.labels.problems(),
        *config.engine.problems(),
        *config.sampling.problems(),
    ]
    if config.task == "dia":
        problems += [f"model.{problem}" for problem in config.model.problems()]
    if config.task == "codec":
        problems += config.codec_training.problems() + _codec_problems(config)
    return problems


def _codec_problems(config: TrainConfig) -> list[str]:
    """Rules that the codec's shape sets its training."""
    frame = config.spectral.hop * config.spectral.stride
    if config.codec_training.samples % frame:
        return [f"codec_training.samples={config.codec_training.samples} must be a multiple of {frame}, a codec frame"]
    return []


def _key_problems(config: TrainConfig) -> list[str]:
    """Ranges of single keys."""
    found = unknown(("task", config.task, ("dia", "codec")), ("resume", config.resume, ("auto", "true", "false")))
    if not (all(share > 0 for share in config.mix.values()) and sum(config.mix.values()) < 1):
        found.append(f"mix={dict(config.mix)} must be shares above 0 that leave something to the data itself")
    if not config.run_name or "/" in config.run_name:
        found.append(f"run_name={config.run_name!r} must be a plain folder name")
    return found


def run(config_name: str, task: Callable[[Any], None]) -> None:
    """Run a front door: compose from the command line, build the typed config, call ``task`` with it.

    A :class:`UserError`, an unknown key or an unknown recipe prints one message to standard error and exits with 2.
    Everything else keeps its traceback.
    """
    entered = []

    @hydra.main(version_base="1.3", config_path=CONFIGS, config_name=config_name)
    def door(composed: DictConfig) -> None:
        entered.append(True)
        try:
            task(OmegaConf.to_object(composed))
        except UserError as error:
            print(error, file=sys.stderr)
            sys.exit(2)

    try:
        check_recipe_arguments(sys.argv[1:])
        sys.argv[1:] = [quote_text(argument) for argument in sys.argv[1:]]
        door()
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except SystemExit as stop:
        # Hydra leaves with 1 when it cannot compose; what fails after that keeps its own code
        sys.exit(2 if stop.code == 1 and not entered else stop.code)


def run_one_of(doors: dict[str, tuple[str, Callable[[Any], None]]]) -> None:
    """Run a front door that has several commands: its first word names one (`python -m dia.bench prepare ...`), none means "".

    ``doors`` gives each command its config's name and its task, as :func:`run` takes them.
    """
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    command = "" if not word or "=" in word or word.startswith("-") else word
    if command not in doors:
        listed = ", ".join(sorted(filter(None, doors)))
        print(f"there is no command {command!r}; there are: {listed}, or none, followed by key=value", file=sys.stderr)
        sys.exit(2)
    if command:
        del sys.argv[1]
    run(*doors[command])


register()
