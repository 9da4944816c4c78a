"""Enumerations of the values that configuration keys accept.

OmegaConf reads an enumeration by member *name*, so that every member has its value as its name. Two of them
are built from a list because some of their values are not Python identifiers.
"""

from dataclasses import fields
from enum import StrEnum
from typing import Any


class Task(StrEnum):
    """What a training run produces: a Dia network, a codec, or a detector of nonverbal sounds."""

    dia = "dia"
    codec = "codec"
    event_detector = "event_detector"


class Resume(StrEnum):
    """What happens to a run folder that already holds a run."""

    auto = "auto"
    true = "true"
    false = "false"


class ObjectiveKind(StrEnum):
    """Training objectives."""

    cross_entropy = "cross_entropy"
    guided_distillation = "guided_distillation"
    dpo = "dpo"
    ipo = "ipo"
    simpo = "simpo"
    rft = "rft"
    grpo = "grpo"


class TrainingData(StrEnum):
    """What the samples of an objective are: clips; pairs of a preferred and a rejected take, or the preferred
    ones alone; or groups of takes that the model generates during training."""

    clips = "clips"
    pairs = "pairs"
    preferred = "preferred"
    groups = "groups"

    @property
    def from_preferences(self) -> bool:
        """Whether the samples are those of a preference data set."""
        return self in (TrainingData.pairs, TrainingData.preferred)


class PreferenceOrigin(StrEnum):
    """Where preferences come from: a checkpoint's takes that the evaluation's metrics judge, the votes of a
    listening test, or a table of pairs."""

    takes = "takes"
    votes = "votes"
    table = "table"


class LossNormalization(StrEnum):
    """What the loss of a take is divided by: its own number of tokens, or that of all takes."""

    sequence = "sequence"
    token = "token"


class Accelerator(StrEnum):
    """Devices that Lightning trains on."""

    cpu = "cpu"
    cuda = "cuda"
    auto = "auto"


class Device(StrEnum):
    """Devices for work outside training."""

    cpu = "cpu"
    cuda = "cuda"


class Strategy(StrEnum):
    """How the model is placed on processes: on one, replicated (DDP) or sharded (FSDP2)."""

    single = "single"
    ddp = "ddp"
    fsdp2 = "fsdp2"

    @property
    def distributed(self) -> bool:
        """Whether the strategy is for several processes."""
        return self is not Strategy.single

    @property
    def sharded(self) -> bool:
        """Whether each process holds a shard of the model instead of all of it."""
        return self is Strategy.fsdp2


Precision = StrEnum(
    "Precision",
    {
        "32-true": "32-true",
        "bf16-mixed": "bf16-mixed",
        "16-mixed": "16-mixed",
        "bf16-true": "bf16-true",
        "16-true": "16-true",
        "64-true": "64-true",
    },
)
FULL_PRECISION, BF16_MIXED = Precision("32-true"), Precision("bf16-mixed")


class ActivationCheckpointing(StrEnum):
    """Which activations are recomputed in the backward pass."""

    off = "off"
    mlp = "mlp"
    layers = "layers"


class WandbMode(StrEnum):
    """Modes of Weights & Biases."""

    offline = "offline"
    online = "online"
    disabled = "disabled"


class MonitorMode(StrEnum):
    """Whether lower or higher values of a monitored metric are better."""

    min = "min"
    max = "max"


class OptimizerKind(StrEnum):
    """Optimizers."""

    adamw = "adamw"
    adamw8bit = "adamw8bit"
    muon = "muon"


class ScheduleKind(StrEnum):
    """Learning rate schedules."""

    cosine = "cosine"
    wsd = "wsd"


class EngineKind(StrEnum):
    """Where data preparation runs."""

    local = "local"
    dask = "dask"


class LicencePolicy(StrEnum):
    """Which licences are accepted."""

    any = "any"
    commercial = "commercial"


class CorpusUse(StrEnum):
    """What a corpus is used for."""

    train = "train"
    evaluation = "evaluation"


TooLong = StrEnum("TooLong", {"raise": "raise", "skip": "skip"})
RAISE_TOO_LONG = TooLong("raise")

UnknownLabel = StrEnum("UnknownLabel", {"raise": "raise", "drop_tag": "drop_tag", "drop_clip": "drop_clip"})
RAISE = UnknownLabel("raise")


class NonverbalLabels(StrEnum):
    """How nonverbal tags reach the model."""

    inline = "inline"
    off = "off"


class EmotionLabels(StrEnum):
    """How emotion labels reach the model."""

    off = "off"
    prefix = "prefix"
    prompt = "prompt"


class Diarization(StrEnum):
    """Speaker diarization methods for raw recordings."""

    clusters = "clusters"
    pyannote = "pyannote"


class EmotionEstimate(StrEnum):
    """Emotion estimates for raw recordings."""

    prosody = "prosody"
    off = "off"


class Quantization(StrEnum):
    """Weight quantization for inference."""

    int8 = "int8"
    int4 = "int4"
    fp8 = "fp8"


class LintLevel(StrEnum):
    """What the linter of texts does: it refuses warnings too, logs them, or leaves texts as written."""

    error = "error"
    warn = "warn"
    off = "off"


class AudioPlacement(StrEnum):
    """Where a listening test's audio is stored."""

    inside = "inside"
    beside = "beside"


class SearchSampler(StrEnum):
    """Samplers of a hyper-parameter search."""

    tpe = "tpe"
    random = "random"
    grid = "grid"


class TrialValue(StrEnum):
    """Which logged value of a metric counts as a trial's result."""

    last = "last"
    best = "best"


def coerce_choices(instance: Any) -> None:
    """Turn plain strings into members, in place, for each field whose default is an enumeration member.

    Raises ``ValueError`` with the allowed values for a string that is none of them.
    """
    for field in fields(instance):
        value = getattr(instance, field.name)
        if isinstance(field.default, StrEnum) and not isinstance(value, StrEnum):
            kind = type(field.default)
            if value not in list(kind):
                raise ValueError(f"{field.name}={value} is unknown; choose one of {', '.join(kind)}")
            setattr(instance, field.name, kind(value))
