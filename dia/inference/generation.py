"""Generate a batch with everything a caller of `Dia.generate` may give: prompts, a voice, seeds, retries.

Legend: T codec frame, C codec channel.
"""

import os
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from dia.codecs.protocol import require_codec
from dia.config.sampling import Sampling
from dia.errors import UserError
from dia.inference.engine import Generated, Request, generate_codes
from dia.inference.guard import GuardedSpeech, GuardLimits, synthesize_guarded
from dia.inference.prompt import Prompt, encode_prompt, is_codes
from dia.inference.synthesizer import Speech, Synthesizer
from dia.inference.voice import Voice
from dia.network import DiaNetwork

Prompts = Prompt | list[Prompt | None] | None


@dataclass(frozen=True)
class GenerationTask:
    """How a batch is generated.

    Attributes:
        sampling: Sampling values.
        max_tokens: Decoder steps; None means as many as the model has.
        prompts: Codes (T, C) of each text's voice prompt, or None.
        voice: A voice for all texts, or None.
        compiled: Whether the decoder step is compiled.
    """

    sampling: Sampling
    max_tokens: int | None
    prompts: list[Tensor | None]
    voice: Voice | None
    compiled: bool

    def of(self, places: list[int]) -> "GenerationTask":
        """Return the task for some texts of the batch."""
        return replace(self, prompts=[self.prompts[place] for place in places])


class BatchGenerator:
    """Generates takes, or codes when there is no codec (``synthesizer`` is None), of batches of texts."""

    def __init__(self, network: DiaNetwork, synthesizer: Synthesizer | None) -> None:
        self.network = network
        self.synthesizer = synthesizer

    def require_synthesizer(self) -> Synthesizer:
        """Return the synthesizer. Raises :class:`UserError` when no codec was opened."""
        if self.synthesizer is None:
            raise UserError(
                "no codec was opened (load_dac=False), so there is no audio; open one, or use codes"
            )
        return self.synthesizer

    def takes(self, texts: list[str], seeds: list[int], task: GenerationTask, retries: int) -> list[Speech]:
        """Return a take of each text; with retries, takes that the guard rejects are generated again."""
        if retries:
            return [item.speech for item in self.guarded_takes(texts, seeds, task, retries)]
        scripts, prompts = self._scripts(texts, task)
        synthesizer = self.require_synthesizer()
        return synthesizer.synthesize(scripts, seeds, task.sampling, task.max_tokens, prompts, task.compiled)

    def guarded_takes(
        self,
        texts: list[str],
        seeds: list[int],
        task: GenerationTask,
        retries: int,
        limits: GuardLimits = GuardLimits(),
    ) -> list[GuardedSpeech]:
        """Return the best take of each text with its findings (:mod:`dia.inference.guard`)."""

        def synthesize(places: list[int], seeds: list[int]) -> list[Speech]:
            return self.takes([texts[place] for place in places], seeds, task.of(places), retries=0)

        return synthesize_guarded(synthesize, texts, seeds, retries, limits)

    def codes(self, texts: list[str], seeds: list[int], task: GenerationTask) -> list[Generated]:
        """Return the codes of each text without decoding them."""
        scripts, prompts = self._scripts(texts, task)
        requests = [Request(*item) for item in zip(scripts, seeds, prompts, strict=True)]
        steps = task.max_tokens or self.network.config.decoder.max_positions
        return generate_codes(self.network, requests, task.sampling, steps, task.compiled)

    def voice_codes(self, voice: Voice) -> Tensor:
        """Return a voice's codes (T, C). Raises :class:`UserError` when another codec encoded it."""
        if self.synthesizer is not None:
            require_codec(self.synthesizer.codec, voice.fingerprint, "the voice")
        return voice.codes_TC

    def encode_prompts(self, prompts: Prompts, count: int) -> list[Tensor | None]:
        """Return the codes of each text's prompt, or None, for one prompt for all texts or one each.

        Raises:
            UserError: When a list has another length than ``count``, and as :meth:`encode_prompt` does.
        """
        one_each = prompts if isinstance(prompts, list) else [prompts] * count
        if len(one_each) != count:
            raise UserError(
                f"{count} texts but {len(one_each)} audio prompts; give one prompt for each, or None"
            )
        return [None if prompt is None else self.encode_prompt(prompt) for prompt in one_each]

    def encode_prompt(self, prompt: Prompt) -> Tensor:
        """Return the codes (T, C) of a prompt; without a codec only codes are accepted."""
        if self.synthesizer is None and isinstance(prompt, Tensor) and is_codes(prompt):
            return prompt
        return encode_prompt(prompt, self.require_synthesizer().codec, self.network.config.max_frames)

    def _scripts(self, texts: list[str], task: GenerationTask) -> tuple[list[str], list[Tensor | None]]:
        """Return the texts that the model reads and their prompts; a voice adds its transcript and codes."""
        if task.voice is None:
            return texts, task.prompts
        if any(prompt is not None for prompt in task.prompts):
            raise UserError("a voice and an audio_prompt were given; give one of them")
        return [task.voice.script(text) for text in texts], [self.voice_codes(task.voice)] * len(texts)


def with_overrides(sampling: Sampling, values: dict[str, Any]) -> Sampling:
    """Return sampling values with those in ``values`` replaced that are not None."""
    return replace(sampling, **{key: value for key, value in values.items() if value is not None})


def one_seed_each(seed: int | list[int] | None, count: int) -> list[int]:
    """Return a seed for each of ``count`` texts; None draws random ones.

    Raises:
        UserError: When a list has another length.
    """
    if seed is None:
        return [int.from_bytes(os.urandom(4)) for _ in range(count)]
    if isinstance(seed, int):
        return [seed] * count
    if len(seed) != count:
        raise UserError(f"{count} texts but {len(seed)} seeds; give one seed for each, or one for all")
    return list(seed)
