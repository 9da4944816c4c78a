"""Keys of `python -m dia.train` and `python -m dia.prepare`: those of every run, and those of each task."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

from dia.config.alignment import AlignmentConfig
from dia.config.callbacks import (
    CollapseConfig,
    DivergenceConfig,
    EarlyStoppingConfig,
    EMAConfig,
    ValidationConfig,
    WatchdogConfig,
)
from dia.config.choices import ObjectiveKind, Resume, Task, coerce_choices
from dia.config.codec import CodecConfig, CodecTraining, SpectralCodecConfig
from dia.config.data import DataConfig, LabelsConfig
from dia.config.engine import EngineConfig
from dia.config.event_detector import EventDetectorTraining
from dia.config.lora import LoraConfig
from dia.config.model import DiaConfig
from dia.config.optimizer import OptimConfig, ScheduleConfig
from dia.config.planning import PlanConfig
from dia.config.preference import GrpoConfig, PreferenceConfig
from dia.config.rewards import RewardConfig
from dia.config.sampling import Sampling
from dia.config.trainer import BatchConfig, CurriculumConfig, LoggerConfig, TrainerConfig


@dataclass
class RunConfig:
    """Keys of every training run, whatever its task."""

    task: Task = Task.dia
    """`dia` trains a Dia network, `codec` the spectral codec, `event_detector` a detector of nonverbal
    sounds."""
    run_name: str = "run"
    """Name of the run and of its folder."""
    runs: str = "runs"
    """Folder of run folders, relative to the working directory."""
    seed: int = 0
    """Seed of the weights, the batches and all random numbers of training."""
    resume: Resume = Resume.auto
    """`auto` resumes an interrupted run if the weights will be those of an uninterrupted one; `true` resumes
    even if they will not; `false` never resumes."""
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    logger: LoggerConfig = field(default_factory=LoggerConfig)
    plan: bool = False
    """Print the memory, hours and money that the run needs, and exit."""

    def __post_init__(self) -> None:
        coerce_choices(self)


@dataclass
class DataRunConfig(RunConfig, ABC):
    """Keys of a run that trains on prepared data."""

    data: DataConfig = field(default_factory=DataConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)

    @property
    @abstractmethod
    def codec_name(self) -> str:
        """The codec that the run's data are tokenized with; empty for none."""


@dataclass
class TrainConfig(DataRunConfig):
    """Keys of a run that trains a Dia network (`task=dia`)."""

    init_from: str = ""
    """Checkpoint to start from: a path or a Hub id, in any layout; empty starts from random weights.
    `model=checkpoint` takes the model's shape from it."""
    initializer_range: float | None = 0.02
    """Standard deviation of random weights. Dia's .02 suits a hidden size of 2,048; a network of 192 then
    never learns to read its text (recipes/nano.md). null is torch's default: uniform within 1 / sqrt(inputs),
    embeddings of deviation 1."""
    dropout: float = 0.0
    """Residual dropout in training, for small models that see their data many times."""
    objective: ObjectiveKind = ObjectiveKind.cross_entropy
    """`cross_entropy`; `guided_distillation`, which trains one pass to give what `init_from` gives with
    classifier-free guidance at `sampling.cfg_scale`; `dpo`, `ipo`, `simpo` and `rft`, which learn from pairs
    of takes (`data=preferences`); `grpo`, which learns from groups of its own takes (docs/preference.md)."""
    alignment: AlignmentConfig = field(default_factory=AlignmentConfig)
    preference: PreferenceConfig = field(default_factory=PreferenceConfig)
    grpo: GrpoConfig = field(default_factory=GrpoConfig)
    rewards: RewardConfig = field(default_factory=RewardConfig)
    """The reward of a take with `objective=grpo`."""
    collapse: CollapseConfig = field(default_factory=CollapseConfig)
    lora: LoraConfig = field(default_factory=LoraConfig)
    ema: EMAConfig = field(default_factory=EMAConfig)
    early_stopping: EarlyStoppingConfig = field(default_factory=EarlyStoppingConfig)
    model: DiaConfig = field(default_factory=DiaConfig)
    codec: CodecConfig = field(default_factory=CodecConfig)
    voices: list[str] = field(default_factory=list)
    """Train only on clips in which one of these voices speaks every turn; empty takes all clips."""
    labels: LabelsConfig = field(default_factory=LabelsConfig)
    mix: dict[str, float] = field(default_factory=dict)
    """Prepared data sets (folders) that are mixed into the training split, with their share of the drawn
    clips: `mix={FOLDER: .3}`."""
    batch: BatchConfig = field(default_factory=BatchConfig)
    curriculum: CurriculumConfig = field(default_factory=CurriculumConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    sampling: Sampling = field(default_factory=Sampling)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    divergence: DivergenceConfig = field(default_factory=DivergenceConfig)
    watchdog: WatchdogConfig = field(default_factory=WatchdogConfig)
    planning: PlanConfig = field(default_factory=PlanConfig)

    @property
    def codec_name(self) -> str:
        """The codec that the run's data are tokenized with; empty for none."""
        return self.codec.name if self.data.tokens else ""


@dataclass
class CodecTrainConfig(DataRunConfig):
    """Keys of a run that trains the spectral codec (`task=codec`)."""

    task: Task = Task.codec
    spectral: SpectralCodecConfig = field(default_factory=SpectralCodecConfig)
    codec_training: CodecTraining = field(default_factory=CodecTraining)

    @property
    def codec_name(self) -> str:
        """The codec that the run's data are tokenized with; empty for none."""
        return self.codec_training.initial if self.data.tokens else ""


@dataclass
class EventDetectorTrainConfig(RunConfig):
    """Keys of a run that trains a detector of nonverbal sounds (`task=event_detector`)."""

    task: Task = Task.event_detector
    event_detector: EventDetectorTraining = field(default_factory=EventDetectorTraining)
    engine: EngineConfig = field(default_factory=EngineConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)


TASKS: dict[Task, type[RunConfig]] = {
    Task.dia: TrainConfig,
    Task.codec: CodecTrainConfig,
    Task.event_detector: EventDetectorTrainConfig,
}
"""The configuration of each task."""
