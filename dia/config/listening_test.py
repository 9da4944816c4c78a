"""Keys of `python -m dia.eval listen` and `python -m dia.eval votes`."""

from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from dia.config.checks import below
from dia.config.choices import AudioPlacement, coerce_choices

QUESTION = "Which of the two sounds more like two people really talking?"


def missing_packages(*names: str) -> list[str]:
    """Return a problem for each package that is not installed."""
    return [
        f"{name} is not installed; install the extra `evaluation`"
        for name in names
        if find_spec(name) is None
    ]


@dataclass
class ListenConfig:
    """Everything that `python -m dia.eval listen` reads."""

    folders: list[str] = field(default_factory=list)
    """Run folders of two or more recorded systems; words without `=` on the command line."""
    out: str = "listen.html"
    """The page. Its key is written beside it, as `listen.key.json`, and is not sent to the listeners."""
    reference: str = ""
    """Run folder of real recordings of the same prompts, which is compared like a system and not announced.
    """
    prompts: int = 0
    """Number of prompts, the first in the order of recording; 0 takes all that every system has."""
    checks: int = 2
    """Attention checks in every form: a clip against itself with noise."""
    trials: int = 30
    """Most comparisons in a form, attention checks not counted; further ones go to other forms."""
    question: str = QUESTION
    """The question above each comparison."""
    audio: AudioPlacement = AudioPlacement.inside
    """Audio `inside` the page, or `beside` it in a folder, for tests that are too big for one file."""

    def __post_init__(self) -> None:
        coerce_choices(self)

    def problems(self) -> list[str]:
        """Return everything that prevents the test, one sentence per problem."""
        problems = []
        if len(self.folders) + bool(self.reference) < 2:
            problems.append("name two or more run folders, such as outputs/x/run1")
        out = Path(self.out)
        if out.suffix != ".html":
            problems.append(f"out={self.out} must end in .html")
        if not out.parent.is_dir():
            problems.append(f"the folder of out={self.out} is missing; create it, or write elsewhere")
        problems += [
            f"{path} exists; a page is never overwritten, because answers may refer to it"
            for path in self._outputs
            if path.exists()
        ]
        for name, minimum in (("prompts", 0), ("checks", 0), ("trials", 2)):
            problems += below(minimum, [(name, getattr(self, name))])
        return problems + missing_packages("pyloudnorm")

    @property
    def key(self) -> Path:
        """Path of the key."""
        return Path(self.out).with_suffix(".key.json")

    @property
    def audio_folder(self) -> Path:
        """Folder of audio beside the page."""
        return Path(self.out).with_suffix(".sounds")

    @property
    def _outputs(self) -> list[Path]:
        beside = [self.audio_folder] if self.audio is AudioPlacement.beside else []
        return [Path(self.out), self.key, *beside]


@dataclass
class VotesConfig:
    """Everything that `python -m dia.eval votes` reads."""

    files: list[str] = field(default_factory=list)
    """Answers that the listeners sent back; words without `=` on the command line."""
    key: str = ""
    """The key that was written with the page."""
    checks: float = 0.75
    """Lowest share of attention checks that a listener must answer correctly."""
    out: str = ""
    """JSON file of the results; empty writes none."""

    def problems(self) -> list[str]:
        """Return everything that prevents the count, one sentence per problem."""
        problems = [] if self.files else ["name the files that listeners sent, such as answers-*.json"]
        if not self.key:
            problems.append(
                "give key=PAGE.key.json, which was written with the page; without it no vote has a system"
            )
        if not 0 <= self.checks <= 1:
            problems.append(f"checks={self.checks} must be a share in 0..1")
        problems += missing_packages("krippendorff")
        if self.out and not Path(self.out).parent.is_dir():
            problems.append(f"the folder of out={self.out} is missing; create it, or write elsewhere")
        return problems
