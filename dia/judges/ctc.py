"""Character recognition and forced alignment with a CTC model (wav2vec 2.0, HuBERT, MMS) of transformers.

Legend: T frame, V symbol.
"""

import re
from functools import cached_property
from importlib.metadata import version
from itertools import groupby, pairwise
from typing import Any

import torch
from torch import Tensor

from dia.audio.files import resample
from dia.judges.provenance import Provenance
from dia.judges.recording import Recording, Times
from dia.judges.speaker_encoders import state_dict_sha256
from dia.judges.transcription import SHORTEST, SILENT, RecognisedWord
from dia.judges.unavailable import loading_judge

SAMPLE_RATE = 16_000


class CtcModel:
    """A CTC model from a folder or the Hub, such as `facebook/wav2vec2-base-960h`, optionally `@revision`.

    Raises :class:`dia.judges.unavailable.JudgeUnavailable` on first use if it cannot be loaded.
    """

    def __init__(self, source: str) -> None:
        self.source = source

    @cached_property
    def _parts(self) -> tuple[Any, Any]:
        name, _, revision = self.source.partition("@")
        with loading_judge(f"the CTC model {self.source}", "judges"):
            from transformers import AutoModelForCTC, AutoProcessor

            processor = AutoProcessor.from_pretrained(name, revision=revision or "main")
            return processor, AutoModelForCTC.from_pretrained(name, revision=revision or "main").eval()

    @cached_property
    def provenance(self) -> Provenance:
        """Name of the model and SHA-256 of its weights."""
        _, model = self._parts
        return Provenance(
            f"{type(model).__name__} {self.source} (weights {state_dict_sha256(model.state_dict())})",
            f"transformers {version('transformers')}",
            SAMPLE_RATE,
            "as its card says",
            True,
        )

    def words(self, recording: Recording) -> list[RecognisedWord]:
        """Return the words of greedy decoding, without language model, with times in seconds."""
        if _is_silent(recording):
            return []
        log_probabilities_TV, seconds = self._emissions(recording)
        best, words = log_probabilities_TV.argmax(-1).tolist(), []
        frame, letters, first = 0, "", 0
        for symbol, run in groupby([*best, self._separator]):
            length = len(list(run))
            if symbol == self._separator and letters:
                words.append(RecognisedWord(f" {letters}", first * seconds, frame * seconds))
                letters = ""
            elif symbol not in (self._separator, self._blank):
                first = frame if not letters else first
                letters += self._letters[symbol]
            frame += length
        return words

    def align(self, recording: Recording, words: list[str]) -> list[Times | None]:
        """Return (start, end) in seconds of each word of a known text, by torchaudio's forced alignment.

        The result is None for words without a letter of the vocabulary, and for all words of a recording that
        is silent or too short for them.
        """
        spelled = [[self._ids[letter] for letter in self._known(word)] for word in words]
        flat = [symbol for word in spelled for symbol in word]
        repeats = sum(first == second for first, second in pairwise(flat))
        if not flat or _is_silent(recording):
            return [None] * len(words)
        log_probabilities_TV, seconds = self._emissions(recording)
        # each letter needs a frame, and equal neighbours a blank between them
        if len(log_probabilities_TV) < len(flat) + repeats:
            return [None] * len(words)
        spans = self._spans(log_probabilities_TV, flat)
        return _by_word(spans, [len(word) for word in spelled], seconds)

    def _spans(self, log_probabilities_TV: Tensor, flat: list[int]) -> list[tuple[int, int]]:
        """Frames [first, last) of each symbol."""
        from torchaudio.functional import forced_align, merge_tokens

        path, scores = forced_align(
            log_probabilities_TV[None], torch.tensor([flat], dtype=torch.int32), blank=self._blank
        )
        return [(span.start, span.end) for span in merge_tokens(path[0], scores[0].exp(), blank=self._blank)]

    @torch.inference_mode()
    def _emissions(self, recording: Recording) -> tuple[Tensor, float]:
        """Log probabilities (T, V), and the duration of a frame in seconds."""
        processor, model = self._parts
        waveform = resample(recording.waveform, recording.sample_rate, SAMPLE_RATE)
        inputs = processor(waveform, sampling_rate=SAMPLE_RATE, return_tensors="pt")
        log_probabilities_TV = model(**inputs).logits[0].float().log_softmax(-1)
        return log_probabilities_TV, recording.seconds / max(1, len(log_probabilities_TV))

    @cached_property
    def _ids(self) -> dict[str, int]:
        """The symbol of each letter, in the letter case of the vocabulary."""
        vocabulary: dict[str, int] = self._parts[0].tokenizer.get_vocab()
        return {
            letter: symbol
            for letter, symbol in vocabulary.items()
            if len(letter) == 1 and symbol != self._separator
        }

    @cached_property
    def _letters(self) -> dict[int, str]:
        return {symbol: letter for letter, symbol in self._ids.items()} | self._unspoken

    @property
    def _unspoken(self) -> dict[int, str]:
        return dict.fromkeys(self._parts[0].tokenizer.all_special_ids, "")

    @property
    def _blank(self) -> int:
        return int(self._parts[0].tokenizer.pad_token_id)

    @property
    def _separator(self) -> int:
        tokenizer = self._parts[0].tokenizer
        return int(tokenizer.convert_tokens_to_ids(tokenizer.word_delimiter_token))

    def _known(self, word: str) -> str:
        """The letters of a word that are in the vocabulary, in its letter case."""
        upper = any(letter.isupper() for letter in self._ids)
        spelled = re.sub(r"\s", "", word.upper() if upper else word.lower())
        return "".join(letter for letter in spelled if letter in self._ids)


def _is_silent(recording: Recording) -> bool:
    return recording.seconds < SHORTEST or float(abs(recording.waveform).max()) < SILENT


def _by_word(spans: list[tuple[int, int]], lengths: list[int], seconds: float) -> list[Times | None]:
    """Times of each word from those of its letters."""
    times: list[Times | None] = []
    begin = 0
    for length in lengths:
        letters = spans[begin : begin + length]
        times.append((letters[0][0] * seconds, letters[-1][1] * seconds) if letters else None)
        begin += length
    return times
