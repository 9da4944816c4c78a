"""What `python -m dia.eval listen` and `python -m dia.eval votes` are asked for."""

from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

QUESTION = "Which of the two sounds more like two people really talking?"


def missing_packages(*names: str) -> list[str]:
    """Return a line for each package that is not installed."""
    return [
        f"{name} is not installed; install the extra `evaluation`"
        for name in names
        if find_spec(name) is None
    ]


@dataclass
class ListenConfig:
    """Everything `python -m dia.eval listen` reads."""

    folders: list[str] = field(default_factory=list)
    """Run folders of two or more recorded systems; words without `=` on the command line."""
    out: str = "listen.html"
    """The page. Its key is written beside it, as `listen.key.json`, and stays with whoever runs the test."""
    reference: str = ""
    """Run folder of real recordings of the same prompts; it is compared like a system, and nobody is told."""
    prompts: int = 0
    """How many prompts, the first in the order of recording; 0: all that every system has."""
    checks: int = 2
    """Attention checks in every form: a clip against itself under noise."""
    trials: int = 30
    """Most comparisons for one listener, checks not counted; the rest goes to other forms."""
    question: str = QUESTION
    sounds: str = "inside"
    """`inside` the page, or `beside` it in a folder, for tests that would be too big for one file."""

    def problems(self) -> list[str]:
        """Return every problem: key, value and remedy."""
        found = (
            []
            if len(self.folders) + bool(self.reference) > 1
            else ["name two or more run folders, such as outputs/x/run1"]
        )
        out = Path(self.out)
        if out.suffix != ".html":
            found.append(f"out={self.out} must end in .html")
        if not out.parent.is_dir():
            found.append(f"the folder of out={self.out} is missing; make it, or write elsewhere")
        found += [
            f"{path} exists; a page is never overwritten, for answers may refer to it"
            for path in self._made
            if path.exists()
        ]
        for key, least in (("prompts", 0), ("checks", 0), ("trials", 2)):
            if getattr(self, key) < least:
                found.append(f"{key}={getattr(self, key)} must be {least} or more")
        found += missing_packages("pyloudnorm")
        if self.sounds not in ("inside", "beside"):
            found.append(f"sounds={self.sounds} is unknown; choose inside or beside")
        return found

    @property
    def key(self) -> Path:
        """Where the key is written."""
        return Path(self.out).with_suffix(".key.json")

    @property
    def sound_folder(self) -> Path:
        """Where sounds beside the page lie."""
        return Path(self.out).with_suffix(".sounds")

    @property
    def _made(self) -> list[Path]:
        return [Path(self.out), self.key, *([self.sound_folder] if self.sounds == "beside" else [])]


@dataclass
class VotesConfig:
    """Everything `python -m dia.eval votes` reads."""

    files: list[str] = field(default_factory=list)
    """Answers that listeners downloaded; words without `=` on the command line."""
    key: str = ""
    """The key that was written with the page."""
    checks: float = 0.75
    """Least share of attention checks that a listener must have answered right."""
    out: str = ""
    """JSON file of all that was found."""

    def problems(self) -> list[str]:
        """Return every problem: key, value and remedy."""
        found = [] if self.files else ["name the files that listeners sent, such as answers-*.json"]
        if not self.key:
            found.append(
                "give key=PAGE.key.json, which was written with the page; without it nobody knows what was heard"
            )
        if not 0 <= self.checks <= 1:
            found.append(f"checks={self.checks} must be a share in 0..1")
        found += missing_packages("krippendorff")
        if self.out and not Path(self.out).parent.is_dir():
            found.append(f"the folder of out={self.out} is missing; make it, or write elsewhere")
        return found
