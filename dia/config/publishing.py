"""Keys of `python -m dia.weights push` and `python -m dia.prepare push`."""

from dataclasses import dataclass, field

MOST_SAMPLES = 20


@dataclass
class PushConfig:
    """What both commands read."""

    path: str = ""
    """What is published; the word without `=`."""
    repo: str = ""
    """Repository of the Hugging Face Hub, `owner/name`; empty writes the folder only."""
    to: str = ""
    """Folder that is created; empty writes `hub/NAME` (below DIA_HOME), and replaces an earlier one there."""
    license: str = ""
    """Licence by the Hub's identifier, such as `apache-2.0` or `cc-by-4.0`."""
    private: bool = True
    """Whether a repository that is created is private."""

    def problems(self) -> list[str]:
        """Return what is missing, one sentence per problem."""
        problems = [] if self.path else ["name what to publish"]
        owner, _, name = self.repo.partition("/")
        if self.repo and not (owner and name and "/" not in name):
            problems.append(f"repo={self.repo} is no name of a repository; write owner/name")
        return problems


@dataclass
class PushModelConfig(PushConfig):
    """Everything that `python -m dia.weights push` reads."""

    codec: str = ""
    """Name or path of the codec; empty takes the one that the checkpoint names."""
    evaluations: list[str] = field(default_factory=list)
    """Folders of evaluations for the card; empty takes those of the run (`eval-SUITE`)."""
    samples: int = 2
    """Scripts that are spoken for the card."""
    scripts: list[str] = field(default_factory=list)
    """Scripts of the samples; empty takes examples that the model knows."""

    def problems(self) -> list[str]:
        """Return what is missing, one sentence per problem."""
        problems = super().problems()
        if not self.license:
            problems.append("license= is missing; name the licence of the weights, such as apache-2.0")
        if not 0 <= self.samples <= MOST_SAMPLES:
            problems.append(f"samples={self.samples} must be 0 to {MOST_SAMPLES}")
        return problems


@dataclass
class PushDataConfig(PushConfig):
    """Everything that `python -m dia.prepare push` reads."""

    shard_megabytes: int = 500
    """Audio and codes of one Parquet file."""

    def problems(self) -> list[str]:
        """Return what is missing, one sentence per problem."""
        problems = super().problems()
        if self.shard_megabytes < 1:
            problems.append(f"shard_megabytes={self.shard_megabytes} must be 1 or more")
        return problems
