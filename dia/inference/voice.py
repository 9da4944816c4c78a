"""A voice: the codes of a recording and its transcript, in one file. The same voice each time is the same
prompt each time: a seed alone does not fix a voice, since another text draws other codes.

Legend: T codec frame, C codec channel.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from dia.dialogue.lint import Limits, lint
from dia.dialogue.script import Script
from dia.dialogue.text import MAX_BYTES, encode_text
from dia.errors import UserError, one_line
from dia.files import atomic_write

FORMAT = "dia voice 1"
SHORTEST, LONGEST = 5.0, 10.0  # seconds that nari recommends of a prompt (README of nari-labs/dia)
SLOWEST, FASTEST = 4.0, 30.0  # characters a second: outside, the transcript is not that of the recording


@dataclass(frozen=True)
class Voice:
    """A transcript in script form and the codes (T, C) of its recording, made by the codec of this name and
    fingerprint.
    """

    transcript: str
    codes_TC: Tensor
    codec: str
    fingerprint: str
    frame_rate: float

    @property
    def seconds(self) -> float:
        """Length of the recording."""
        return len(self.codes_TC) / self.frame_rate

    @property
    def room_bytes(self) -> int:
        """Bytes of text that one pass can speak in this voice."""
        return MAX_BYTES - len(encode_text(self.transcript)) - 1

    def room_seconds(self, max_frames: int) -> float:
        """Return how much a model of ``max_frames`` should be asked to say in one pass: two thirds of what
        the voice leaves, as a script may take longer than is thought. Raises :class:`UserError` when that is
        under a second."""
        room = (max_frames - len(self.codes_TC)) / self.frame_rate * 2 / 3
        if room < 1.0:
            raise UserError(
                f"a voice of {self.seconds:.1f} s leaves no room in a model of {max_frames / self.frame_rate:.1f} s"
            )
        return room

    def script(self, text: str) -> str:
        """Return what the model reads so as to speak ``text`` in this voice: the transcript, then the text.

        Raises :class:`UserError` with everything that keeps the text from being spoken so.
        """
        if problems := self.problems_with(text):
            raise UserError(
                "the text does not go with the voice:\n" + "\n".join(f"  - {problem}" for problem in problems)
            )
        return f"{self.transcript} {text}"

    def problems_with(self, text: str) -> list[str]:
        """Return why a text cannot be spoken in this voice, one sentence each with its remedy."""
        try:
            asked, known = (
                {turn.speaker for turn in Script.parse(part).turns} for part in (text, self.transcript)
            )
        except ValueError as error:
            return [str(error)]
        problems = [
            f"[S{speaker}] speaks in the text but not in the voice's transcript; record both speakers, or leave it out"
            for speaker in sorted(asked - known)
        ]
        try:
            encode_text(f"{self.transcript} {text}")
        except UserError as error:
            problems.append(f"transcript and text: {error}")
        return problems

    def save(self, path: str | Path) -> None:
        """Write the voice as one safetensors file, whole or not at all. Raises ``OSError`` as the file system
        does.
        """
        about = {
            "transcript": self.transcript,
            "codec": self.codec,
            "fingerprint": self.fingerprint,
            "frame_rate": self.frame_rate,
        }
        with atomic_write(Path(path)) as temporary:
            save_file(
                {"codes": self.codes_TC.to("cpu", torch.int16).contiguous()},
                temporary,
                {"format": FORMAT, "voice": json.dumps(about)},
            )
            temporary.chmod(0o644)

    @classmethod
    def load(cls, path: str | Path) -> "Voice":
        """Open a voice. Raises :class:`UserError` when the file is missing, damaged or something else."""
        try:
            with safe_open(str(path), "pt") as file:
                metadata = file.metadata() or {}
                if metadata.get("format") != FORMAT:
                    raise UserError(f"{path} is no voice file; make one with Dia.make_voice(...).save(path)")
                about, codes_TC = json.loads(metadata["voice"]), file.get_tensor("codes").long()
            return cls(
                about["transcript"],
                codes_TC,
                about["codec"],
                about["fingerprint"],
                float(about["frame_rate"]),
            )
        except (OSError, SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
            raise UserError(
                f"{path} is missing or damaged ({one_line(error)}); make the voice again"
            ) from error


def voice_problems(
    transcript: str, seconds: float, shortest: float = SHORTEST, longest: float = LONGEST
) -> list[str]:
    """Return what makes a recording and its transcript a bad voice, one sentence each with its remedy."""
    if not transcript.strip():
        return [
            "the transcript is missing; without it the model drops words or answers with noise: write what is said, from [S1] on"
        ]
    problems = lint(transcript, Limits(shortest_seconds=0.0, longest_seconds=float("inf")))
    if not shortest <= seconds <= longest:
        problems.append(
            f"the recording is {seconds:.1f} s long; give {shortest:g} to {longest:g} s of speech"
        )
    if problems:
        return problems
    pace = len(Script.parse(transcript).words()) / seconds
    if not SLOWEST <= pace <= FASTEST:
        problems.append(
            f"the transcript makes {pace:.1f} characters a second, speech has about 14; write all that is said and only that"
        )
    return problems
