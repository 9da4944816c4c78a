"""Keys of `python -m dia.voice make` and `show`."""

from dataclasses import dataclass

from dia.config.checks import below
from dia.config.choices import LintLevel
from dia.resources import DEFAULT_CHECKPOINT

SHORTEST = 5.0  # seconds; 5 to 10 s is what nari recommends for a prompt (README of nari-labs/dia)
LONGEST = 10.0


@dataclass
class MakeVoiceConfig:
    """Everything that `python -m dia.voice make` reads."""

    audio: str = ""
    """Recording of the voice, an audio file; the word without `=`."""
    text: str = ""
    """Transcript of the recording, `[S1] Hello.`; `text=@FILE` reads it from a file."""
    out: str = ""
    """Voice file to write; empty is the recording's path with the ending `.voice`."""
    ckpt: str = DEFAULT_CHECKPOINT
    """Checkpoint that will speak: a shipped model, a run, a path or a Hub id. Its weights are not read."""
    codec: str = ""
    """Codec that encodes the recording; empty takes the checkpoint's."""
    shortest: float = SHORTEST
    """Shortest accepted recording in seconds."""
    longest: float = LONGEST
    """Longest accepted recording in seconds."""
    lint: LintLevel = LintLevel.warn
    """What happens with a transcript that a model may not read as meant: `warn` says so, `error` refuses it,
    `off` stores it as written."""

    def problems(self) -> list[str]:
        """Return what is missing or out of range, one sentence per problem."""
        problems = below(0, [("shortest", self.shortest), ("longest", self.longest)])
        if not self.audio:
            problems.append("name a recording: an audio file of 5 to 10 seconds of speech")
        if not self.text:
            problems.append('text=... is missing; write all words of the recording: text="[S1] Hello."')
        return problems


@dataclass
class ShowVoiceConfig:
    """Everything that `python -m dia.voice show` reads."""

    voice: str = ""
    """A voice file; the word without `=`."""

    def problems(self) -> list[str]:
        """Return what is missing, one sentence per problem."""
        return [] if self.voice else ["name a voice file, such as anna.voice"]
