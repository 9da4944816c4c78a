"""A voice: the codes of a recording and its transcript, in one safetensors file.

The same voice is the same prompt for every text. A seed alone does not fix a voice, since another text draws
other codes.

Legend: T codec frame, C codec channel.
"""

import json
import logging
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from dia.codecs.protocol import Codec, frames_per_second
from dia.codecs.registry import codec_shape, is_known_codec
from dia.config.checks import bullet_list
from dia.config.choices import LintLevel
from dia.config.voice import LONGEST, SHORTEST
from dia.dialogue.check import lint_level, refused
from dia.dialogue.script import Script
from dia.dialogue.text import MAX_BYTES, encode_text, joined_text
from dia.documents import parse_json
from dia.errors import UserError, one_line
from dia.files import atomic_write, require_regular_file
from dia.inference.voice_checks import (
    code_problems,
    lint_transcript,
    pace_of,
    transcript_problems,
    transcript_warnings,
    voice_problems,
)

FORMAT = "dia voice 1"
HIGHEST_RATE = 1000  # hertz of a codec's frames
HIGHEST_CODE = 32_767  # codes are stored in 16 bits
logger = logging.getLogger(__name__)
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
        codebook_size: Codes per channel of that codec; 0 when unknown, as in files of earlier versions.
    """

    transcript: str
    codes_TC: Tensor
    codec: str
    fingerprint: str
    frame_rate: float
    codebook_size: int = 0

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
        return joined_text(self.transcript, text)

    def problems_with(self, text: str) -> list[str]:
        """Return why a text cannot be spoken in this voice, one sentence each with its remedy."""
        try:
            speakers = {turn.speaker for turn in Script.parse(text).turns if not turn.silent}
            recorded = {turn.speaker for turn in Script.parse(self.transcript).turns}
        except ValueError as error:
            return [str(error)]
        problems = [
            f"[S{speaker}] speaks in the text but not in the voice's transcript; record both speakers, or "
            "remove the turn"
            for speaker in sorted(speakers - recorded)
        ]
        try:
            encode_text(joined_text(self.transcript, text))
        except UserError as error:
            problems.append(f"transcript and text: {error}")
        return problems

    def save(self, path: str | Path) -> None:
        """Write the voice as one safetensors file, atomically. Raises :class:`StorageError`."""
        description = {
            "transcript": self.transcript,
            "codec": self.codec,
            "fingerprint": self.fingerprint,
            "frame_rate": self.frame_rate,
            "codebook_size": self.codebook_size,
        }
        codes_TC = self.codes_TC.to("cpu", torch.int16).contiguous()
        with atomic_write(Path(path)) as temporary:
            save_file({"codes": codes_TC}, temporary, {"format": FORMAT, "voice": json.dumps(description)})
            temporary.chmod(0o644)

    @classmethod
    def load(cls, path: str | Path) -> "Voice":
        """Open a voice file, which may come from someone else.

        Raises:
            UserError: When it is missing, damaged, or no voice; with every value that no recording can have.
        """
        try:
            require_regular_file(Path(path))
            with safe_open(str(path), "pt") as file:
                metadata = file.metadata() or {}
                if metadata.get("format") != FORMAT:
                    raise UserError(
                        f"{path} is not a voice file; create one with Dia.make_voice(...).save(path)"
                    )
                values = parse_json(metadata["voice"])
                codes_TC = file.get_tensor("codes")
            voice = cls(
                values["transcript"],
                codes_TC,
                values["codec"],
                values["fingerprint"],
                values["frame_rate"],
                values.get("codebook_size", 0),
            )
        except UserError:
            raise
        except (OSError, SafetensorError, KeyError, TypeError, AttributeError, ValueError) as error:
            raise UserError(
                f"{path} is missing or damaged ({one_line(error)}); create the voice again"
            ) from error
        if problems := voice.value_problems():
            raise UserError(bullet_list(f"{path} is not a usable voice; create it again:", problems))
        return replace(voice, codes_TC=codes_TC.long(), frame_rate=float(voice.frame_rate))

    def value_problems(self) -> list[str]:
        """Return which values no recording can have, one sentence each."""
        texts = {"transcript": self.transcript, "codec": self.codec, "fingerprint": self.fingerprint}
        problems = [
            f"{name}={value!r} is no text" for name, value in texts.items() if not isinstance(value, str)
        ]
        rate, size = self.frame_rate, self.codebook_size
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate <= HIGHEST_RATE:
            problems.append(
                f"frame_rate={rate!r} is no rate of a codec: above 0, at most {HIGHEST_RATE} hertz"
            )
        if type(size) is not int or not 0 <= size <= HIGHEST_CODE + 1:
            problems.append(f"codebook_size={size!r} is no number of codes")
        problems += code_problems(
            self.codes_TC, size if size and not problems else self._known_codebook_size()
        )
        if not problems:
            problems += [f"its transcript is no script: {problem}" for problem in self._unreadable()]
        return problems

    def _unreadable(self) -> list[str]:
        """Return why the transcript cannot be given to a model."""
        try:
            encode_text(self.transcript)
        except UserError as error:
            return [str(error)]
        return transcript_problems(self.transcript)

    def _known_codebook_size(self) -> int:
        """Return the codes per channel of a shipped or published codec; for others what a file can store."""
        known = isinstance(self.codec, str) and is_known_codec(self.codec)
        shape = codec_shape(self.codec) if known else None
        return shape.codebook_size if shape else HIGHEST_CODE + 1


def make_voice(
    codec: Codec,
    codes_TC: Tensor,
    transcript: str,
    shortest: float = SHORTEST,
    longest: float = LONGEST,
    lint: str = "warn",
) -> Voice:
    """Return the voice of codes (T, C) and their transcript.

    Args:
        codec: The codec that encoded the recording.
        codes_TC: Codes (T, C) of the recording.
        transcript: All words of the recording, as a script.
        shortest: Shortest accepted recording in seconds.
        longest: Longest accepted recording in seconds.
        lint: ``warn`` logs what a model may not read as meant, ``error`` refuses it; both store the
            transcript as the model reads it. ``off`` stores it as written.

    Raises:
        UserError: With all problems: no transcript, a length out of range, an implausible pace.
    """
    level, rate = lint_level(lint), frames_per_second(codec)
    problems = voice_problems(transcript, len(codes_TC) / rate, shortest, longest)
    result = lint_transcript(transcript)
    if problems := list(dict.fromkeys((*problems, *refused(result, level)))):
        raise UserError(bullet_list("this makes no good voice:", problems))
    for warning in result.warnings if level is LintLevel.warn else ():
        logger.warning("transcript: %s", warning)
    text = transcript if level is LintLevel.off else result.text
    return Voice(text, codes_TC.cpu(), codec.name, codec.fingerprint, rate, codec.codebook_size)


def describe_voice(voice: Voice) -> list[str]:
    """Return lines about a voice: transcript, recording, codec, pace, room for text, and what is unusual."""
    frames, channels = voice.codes_TC.shape
    problems = [*voice_problems(voice.transcript, voice.seconds), *transcript_warnings(voice.transcript)]
    pace = pace_of(voice.transcript, voice.seconds)
    return [
        f"transcript  {voice.transcript}",
        f"recording   {voice.seconds:.2f} s: {frames} frames of {channels} codes, "
        f"{voice.frame_rate:.2f} a second",
        f"codec       {voice.codec} (sha256 {voice.fingerprint[:12]})",
        f"pace        {pace:.1f} characters a second; speech has about 14",
        f"room        {voice.room_bytes} bytes of text in one pass",
        *(f"unusual     {problem}" for problem in problems),
    ]
