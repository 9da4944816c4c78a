"""A voice: the codes of a recording and its transcript, in one safetensors file.

The same voice is the same prompt for every text. A seed alone does not fix a voice, since another text draws
other codes.

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
SHORTEST = 5.0  # seconds; 5 to 10 s is what nari recommends for a prompt (README of nari-labs/dia)
LONGEST = 10.0
SLOWEST = 4.0  # characters per second; outside of these the transcript is not that of the recording
FASTEST = 30.0
ROOM_SHARE = 2 / 3  # share of the free frames that a script may fill by its estimated duration


@dataclass(frozen=True)
class Voice:
    """A voice prompt that can be saved and reused.

    Attributes:
        transcript: The words of the recording, as a script.
        codes_TC: Codes (T, C) of the recording.
        codec: Name of the codec that encoded it.
        fingerprint: Fingerprint of that codec.
        frame_rate: Frames per second of that codec.
    """

    transcript: str
    codes_TC: Tensor
    codec: str
    fingerprint: str
    frame_rate: float

    @property
    def seconds(self) -> float:
        """Duration of the recording in seconds."""
        return len(self.codes_TC) / self.frame_rate

    @property
    def room_bytes(self) -> int:
        """Bytes of text that fit one pass in addition to the transcript."""
        return MAX_BYTES - len(encode_text(self.transcript)) - 1

    def room_seconds(self, max_frames: int) -> float:
        """Return the estimated duration that a script for one pass should not exceed, in seconds.

        This is two thirds of the frames that the voice leaves free, because speech may take longer than
        estimated.

        Raises:
            UserError: When less than one second is left.
        """
        room = (max_frames - len(self.codes_TC)) / self.frame_rate * ROOM_SHARE
        if room < 1.0:
            raise UserError(
                f"a voice of {self.seconds:.1f} s leaves no room in a model of "
                f"{max_frames / self.frame_rate:.1f} s; make a voice of a shorter recording"
            )
        return room

    def script(self, text: str) -> str:
        """Return the text that makes the model speak ``text`` in this voice: the transcript, then the text.

        Raises:
            UserError: With everything that prevents it, as :meth:`problems_with` lists it.
        """
        if problems := self.problems_with(text):
            raise UserError(
                "the text does not fit the voice:\n" + "\n".join(f"  - {problem}" for problem in problems)
            )
        return f"{self.transcript} {text}"

    def problems_with(self, text: str) -> list[str]:
        """Return why a text cannot be spoken in this voice, one sentence each with its remedy."""
        try:
            speakers = {turn.speaker for turn in Script.parse(text).turns}
            recorded = {turn.speaker for turn in Script.parse(self.transcript).turns}
        except ValueError as error:
            return [str(error)]
        problems = [
            f"[S{speaker}] speaks in the text but not in the voice's transcript; record both speakers, or "
            "remove "
            "the turn"
            for speaker in sorted(speakers - recorded)
        ]
        try:
            encode_text(f"{self.transcript} {text}")
        except UserError as error:
            problems.append(f"transcript and text: {error}")
        return problems

    def save(self, path: str | Path) -> None:
        """Write the voice as one safetensors file, atomically. Raises ``OSError`` as the file system does."""
        description = {
            "transcript": self.transcript,
            "codec": self.codec,
            "fingerprint": self.fingerprint,
            "frame_rate": self.frame_rate,
        }
        codes_TC = self.codes_TC.to("cpu", torch.int16).contiguous()
        with atomic_write(Path(path)) as temporary:
            save_file({"codes": codes_TC}, temporary, {"format": FORMAT, "voice": json.dumps(description)})
            temporary.chmod(0o644)

    @classmethod
    def load(cls, path: str | Path) -> "Voice":
        """Open a voice file. Raises :class:`UserError` when it is missing, damaged, or no voice."""
        try:
            with safe_open(str(path), "pt") as file:
                metadata = file.metadata() or {}
                if metadata.get("format") != FORMAT:
                    raise UserError(
                        f"{path} is not a voice file; create one with Dia.make_voice(...).save(path)"
                    )
                description = json.loads(metadata["voice"])
                codes_TC = file.get_tensor("codes").long()
            return cls(
                description["transcript"],
                codes_TC,
                description["codec"],
                description["fingerprint"],
                float(description["frame_rate"]),
            )
        except (OSError, SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
            raise UserError(
                f"{path} is missing or damaged ({one_line(error)}); create the voice again"
            ) from error


def voice_problems(
    transcript: str, seconds: float, shortest: float = SHORTEST, longest: float = LONGEST
) -> list[str]:
    """Return why a recording and its transcript make a bad voice, one sentence each with its remedy."""
    if not transcript.strip():
        return [
            "the transcript is missing; without it the model drops words or answers with noise: write the "
            "words "
            "of the recording, beginning with [S1]"
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
            f"the transcript has {pace:.1f} characters per second of the recording, speech about 14; write "
            "all "
            "words of the recording and no others"
        )
    return problems
