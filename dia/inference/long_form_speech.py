"""The methods of `Dia` that generate scripts longer than one pass: split, speak each piece, join.

The longest piece, the prompt of each piece (the voice, or the piece before it) and the retries after the
guard make up the protocol of a long recording; published figures of Dia differ by it (docs/dia-numbers.md).
"""

import logging
from collections.abc import Iterator, Sequence

from dia.codecs.protocol import frames_per_second
from dia.dialogue.lint import estimated_seconds
from dia.dialogue.script import Script
from dia.dialogue.text import MAX_BYTES
from dia.inference.guard import GuardedSpeech
from dia.inference.long_form import join_waveforms, speaking_pieces, split_script
from dia.inference.speech import SpeechGeneration
from dia.inference.voice import ROOM_SHARE, Voice
from dia.types import Waveform

logger = logging.getLogger(__name__)
PIECE_SECONDS = 12.0


class LongFormSpeech(SpeechGeneration):
    """Speech of scripts of any length."""

    def speak_long(
        self,
        text: str,
        voice: Voice | None,
        seed: int = 0,
        batch: int = 8,
        piece_seconds: float = PIECE_SECONDS,
        pause: float = 0.25,
        retries: int = 1,
        lint: str = "warn",
        context: bool = False,
    ) -> Iterator[Waveform]:
        """Yield the audio of a script of any length in one voice, piece by piece and without clicks.

        Args:
            text: The script; its speakers must speak in the voice's transcript too.
            voice: The voice (:meth:`make_voice`). None leaves the voice of each piece to the model, which is
                of use for models with fixed voices such as `dia_nano`.
            seed: Seed of the first piece; the following pieces have the following seeds.
            batch: Number of pieces that are generated together and held in memory; 1 with ``context``.
            piece_seconds: Longest estimated duration of a piece; less when the voice leaves less room.
            pause: Seconds of silence between pieces.
            retries: How often to generate a failed piece again (:meth:`speak`).
            lint: What happens with a text that may not be spoken as meant (:meth:`check_text`).
            context: Prompt each piece but the first with the piece before it, in place of the voice. A piece
                whose predecessor lacks one of its speakers, failed, or leaves no room, has the voice.

        Without a voice, and with ``context``, a piece is a turn of the first speaker with the answers to it,
        or several of these, where they fit into ``piece_seconds``.

        Raises:
            UserError: Before anything is generated, when the text is no script, has a speaker that the voice
                lacks, or when the voice leaves no room.
        """
        pieces = self.speak_pieces(text, voice, seed, batch, piece_seconds, retries, lint, context)
        waveforms = (item.speech.waveform for item in pieces)
        return join_waveforms(waveforms, self.codec.sample_rate, pause)

    def speak_pieces(
        self,
        text: str,
        voice: Voice | None,
        seed: int = 0,
        batch: int = 8,
        piece_seconds: float = PIECE_SECONDS,
        retries: int = 1,
        lint: str = "warn",
        context: bool = False,
    ) -> Iterator[GuardedSpeech]:
        """Yield the take of each piece of a script with what the guard detects in it.

        The arguments and errors are those of :meth:`speak_long`, which joins the takes.
        """
        pieces = self.split_text(text, voice, piece_seconds, lint, context)
        seeds = range(seed, seed + len(pieces))
        if context:
            return self._in_context(pieces, seeds, voice, retries)
        return self._in_batches(pieces, seeds, voice, batch, retries)

    def split_text(
        self,
        text: str,
        voice: Voice | None,
        piece_seconds: float = PIECE_SECONDS,
        lint: str = "warn",
        context: bool = False,
    ) -> list[str]:
        """Return the scripts of the pieces that :meth:`speak_pieces` speaks.

        The arguments and errors are those of :meth:`speak_long`.
        """
        checked = self.check_text(text, voice, lint, one_pass=False)
        room = self._piece_room(voice, context)
        room_bytes = MAX_BYTES if voice is None else voice.room_bytes
        if context:  # transcript and text share the bytes of one pass
            room_bytes = min(room_bytes, MAX_BYTES // 2 - 1)
        exchanges = context or voice is None
        pieces = speaking_pieces(split_script(checked, min(piece_seconds, room), room_bytes, exchanges))
        if voice is not None:
            for piece in pieces:
                voice.script(piece)
        return pieces

    def _piece_room(self, voice: Voice | None, context: bool) -> float:
        """Return the longest estimated duration of a piece that one pass can speak, in seconds."""
        whole = self.network.config.max_frames / frames_per_second(self.codec) * ROOM_SHARE
        room = whole if voice is None else voice.room_seconds(self.network.config.max_frames)
        return min(room, whole / 2) if context else room

    def _in_batches(
        self, pieces: Sequence[str], seeds: Sequence[int], voice: Voice | None, batch: int, retries: int
    ) -> Iterator[GuardedSpeech]:
        for begin in range(0, len(pieces), batch):
            some = slice(begin, begin + batch)
            yield from self.speak(
                list(pieces[some]), list(seeds[some]), voice=voice, retries=retries, lint="off"
            )

    def _in_context(
        self, pieces: Sequence[str], seeds: Sequence[int], voice: Voice | None, retries: int
    ) -> Iterator[GuardedSpeech]:
        prompt, before = voice, None
        for piece, seed in zip(pieces, seeds, strict=True):
            if before is not None:
                prompt = self._context(*before, piece, voice)
            (item,) = self.speak([piece], [seed], voice=prompt, retries=retries, lint="off")
            before = piece, item
            yield item

    def _context(self, text: str, item: GuardedSpeech, following: str, voice: Voice | None) -> Voice | None:
        """Return a piece as the prompt of the following one; ``voice`` where it cannot be one."""
        codec, codes_TC = self.codec, item.speech.codes_TC.cpu()
        rate = frames_per_second(codec)
        piece = Voice(text, codes_TC, codec.name, codec.fingerprint, rate, codec.codebook_size)
        problems = [finding.message for finding in item.findings] + piece.problems_with(following)
        if not len(codes_TC):
            problems.append("it has no sound")
        if estimated_seconds(Script.parse(following)) > self._room_seconds(piece) * ROOM_SHARE:
            problems.append("it leaves too little room")
        if problems:
            logger.info("%r is no prompt of the next piece: %s", text[:40], "; ".join(problems))
            return voice
        return piece
