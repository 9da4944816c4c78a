"""Keys of `data.corpus=preferences`: where pairs of a preferred and a rejected take come from."""

from dataclasses import dataclass, field

from dia.config.checks import below, not_positive
from dia.config.choices import PreferenceOrigin, coerce_choices
from dia.config.judges import JudgesConfig
from dia.config.rewards import RewardConfig
from dia.config.sampling import SamplingOverrides


@dataclass
class PreferenceDataConfig:
    """A preference data set: judged takes of a checkpoint, votes of a listening test, or a table."""

    origin: PreferenceOrigin = PreferenceOrigin.takes
    """`takes` judges several takes of each script by the evaluation's metrics; `votes` reads the answers of a
    listening test; `table` a JSONL file of pairs of audio files."""
    ckpt: str = ""
    """Checkpoint whose takes are judged; empty takes `init_from`. With `votes` and `table` none is needed."""
    scripts: str = ""
    """Where the scripts come from: a prepared data set (its folder), or a JSONL file of prompts as
    `python -m dia.eval suite=FILE` reads it, with voice prompts."""
    count: dict[str, int] = field(default_factory=lambda: {"train": 400, "validation": 40})
    """Scripts of each split. A JSONL file is divided by `data.held_out` and read as far as `train`."""
    takes: int = 6
    """Takes of each script, with seeds 0, 1, ..."""
    sampling: SamplingOverrides = field(default_factory=SamplingOverrides)
    """Sampling values of the takes; those that are null are the checkpoint's."""
    rewards: RewardConfig = field(default_factory=RewardConfig)
    deviations: float = 2.0
    """A pair's rewards must be apart by this many times the judges' noise (docs/preference.md)."""
    pairs_per_script: int = 1
    """Most pairs of a script: the best take with the worst, the second best with the second worst, ..."""
    judges: JudgesConfig = field(default_factory=JudgesConfig)
    calibration: str = ""
    """File that `python -m dia.eval calibrate` wrote, for the nonverbal detector; empty calibrates it on the
    recordings of `scripts`."""
    cache: str = "outputs/.cache"
    """Folder of cached takes and measurements."""
    votes: list[str] = field(default_factory=list)
    """Answers of a listening test, the files that its page downloaded."""
    key: str = ""
    """Key of the listening test (`listen.key.json`)."""
    runs: list[str] = field(default_factory=list)
    """Run folders of the systems in the listening test."""
    minimum_checks: float = 0.75
    """Listeners with a lower share of correct attention checks are left out."""
    table: str = ""
    """JSONL file of pairs: `script`, `chosen` and `rejected` (audio files beside it), and optionally `id`,
    `margin`, `split`, `licence`, `voice` (an audio file) with `voice_script`."""

    def __post_init__(self) -> None:
        coerce_choices(self)

    def problems(self) -> list[str]:
        """Return which values are missing or out of range, one sentence per problem."""
        key = "data.preferences"
        needed = {
            PreferenceOrigin.takes: ("ckpt", "scripts"),
            PreferenceOrigin.votes: ("votes", "key", "runs"),
            PreferenceOrigin.table: ("table",),
        }[self.origin]
        problems = [
            f"{key}.origin={self.origin} needs {key}.{name}" for name in needed if not getattr(self, name)
        ]
        if self.takes < 2:
            problems.append(f"{key}.takes={self.takes} must be 2 or more: a pair has two takes")
        if not self.count.get("train"):
            problems.append(f"{key}.count={dict(self.count)} must have train: scripts to learn from")
        problems += not_positive([(f"{key}.pairs_per_script", self.pairs_per_script)])
        problems += below(0, [(f"{key}.deviations", self.deviations)])
        return problems + self.rewards.problems(f"{key}.rewards")
