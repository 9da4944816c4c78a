"""Keys of `python -m dia.weights doctor`, `convert` and `consolidate`."""

from dataclasses import dataclass

LAYOUTS = ("nari", "transformers")


@dataclass
class DoctorConfig:
    """Everything that `python -m dia.weights doctor` reads."""

    path: str = ""
    """A shipped model, a run, a checkpoint in any layout, or a Hub id; the word without `=`."""
    audio: str = ""
    """A recording, with which the checkpoint's generation is tested; needs `text`."""
    text: str = ""
    """Transcript of the recording, `[S1] Hello.`"""
    codec: str = ""
    """Codec of the recording; empty takes the checkpoint's."""

    def problems(self) -> list[str]:
        """Return what is missing, one sentence per problem."""
        problems = [] if self.path else ["name a checkpoint: a shipped model, a run, a path or a Hub id"]
        if bool(self.audio) != bool(self.text):
            problems.append("audio= and text= (its transcript) go together; give both or none")
        return problems


@dataclass
class ConvertConfig:
    """Everything that `python -m dia.weights convert` reads."""

    path: str = ""
    """A shipped model, a run, a checkpoint in any layout, or a Hub id; the word without `=`."""
    to: str = ""
    """Layout that is written: `nari` or `transformers`."""
    out: str = ""
    """Folder that is created."""

    def problems(self) -> list[str]:
        """Return what is missing, one sentence per problem."""
        problems = [] if self.path else ["name a checkpoint: a shipped model, a run, a path or a Hub id"]
        if self.to not in LAYOUTS:
            problems.append(f"to={self.to} is missing or unknown; choose one of {', '.join(LAYOUTS)}")
        if not self.out:
            problems.append("out=... is missing; name a folder that does not exist")
        return problems


@dataclass
class ConsolidateConfig:
    """Everything that `python -m dia.weights consolidate` reads."""

    path: str = ""
    """A run folder; the word without `=`."""
    out: str = ""
    """Folder that is created."""
    codec: str = ""
    """Name or path of the codec; empty takes the one that the run names."""

    def problems(self) -> list[str]:
        """Return what is missing, one sentence per problem."""
        problems = [] if self.path else ["name a run folder, such as runs/base"]
        if not self.out:
            problems.append("out=... is missing; name a folder that does not exist")
        return problems
