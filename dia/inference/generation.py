"""Generate a batch with everything a caller of `Dia.generate` may give: prompts, a voice, seeds, retries.

Legend: T codec frame, C codec channel.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from dia.codecs.protocol import require_codec
from dia.config.sampling import Sampling
from dia.errors import UnavailableError, UserError
from dia.inference.engine import generate_codes
from dia.inference.guard import GuardedSpeech, GuardLimits, synthesize_guarded
from dia.inference.prompt import Prompt, encode_prompt, is_codes
from dia.inference.request import Generated, Request
from dia.inference.synthesizer import Speech, Synthesizer
from dia.inference.voice import Voice
from dia.network import DiaNetwork
from dia.types import Waveform

Prompts = Prompt | list[Prompt | None] | None
logger = logging.getLogger(__name__)
SEEDS = 2**32  # number of seeds that are drawn when none is given


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
        """Return the synthesizer. Raises :class:`UnavailableError` when no codec was opened."""
        if self.synthesizer is None:
            raise UnavailableError(
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

    def stream(self, text: str, seed: int, task: GenerationTask) -> Iterator[Waveform]:
        """Yield the audio of one text in chunks while it is generated."""
        (script,), (prompt_TC,) = self._scripts([text], task)
        request = Request(script, seed, prompt_TC)
        return self.require_synthesizer().stream(request, task.sampling, task.max_tokens, task.compiled)

    def codes(self, texts: list[str], seeds: list[int], task: GenerationTask) -> list[Generated]:
        """Return the codes of each text without decoding them."""
        scripts, prompts = self._scripts(texts, task)
        requests = [Request(*item) for item in zip(scripts, seeds, prompts, strict=True)]
        steps = task.max_tokens or self.network.config.decoder.max_positions
        return generate_codes(self.network, requests, task.sampling, steps, task.compiled)

    def voice_codes(self, voice: Voice) -> Tensor:
        """Return a voice's codes (T, C).

        Raises :class:`UserError` when another codec encoded it, or when the network has no such codes.
        """
        if self.synthesizer is not None:
            require_codec(self.synthesizer.codec, voice.fingerprint, "the voice")
        channels, codes = self.network.config.channels, self.network.config.decoder.codebook_size
        if voice.codes_TC.shape[1] != channels or int(voice.codes_TC.max()) >= codes:
            raise UserError(
                f"the voice has codes of {voice.codes_TC.shape[1]} channels up to "
                f"{int(voice.codes_TC.max())}, the model "
                f"{channels} channels of {codes}; make the voice with the codec of this model"
            )
        return voice.codes_TC

    def encode_prompts(self, prompts: Prompts, count: int) -> list[Tensor | None]:
        """Return the codes of each text's prompt, or None, for one prompt for all texts or one each.

        Raises:
            UserError: When a list has another length than ``count``, and as :meth:`encode_prompt` does.
        """
        if not isinstance(prompts, list):
            return [None if prompts is None else self.encode_prompt(prompts)] * count
        if len(prompts) != count:
            raise UserError(
                f"{count} texts but {len(prompts)} audio prompts; give one prompt for each, or None"
            )
        return [None if prompt is None else self.encode_prompt(prompt) for prompt in prompts]

    def encode_prompt(self, prompt: Prompt) -> Tensor:
        """Return the codes (T, C) of a prompt; without a codec only codes are accepted."""
        if self.synthesizer is None and is_codes(prompt):
            return torch.as_tensor(prompt)
        return encode_prompt(prompt, self.require_synthesizer().codec, self.network.config.max_frames)

    def _scripts(self, texts: list[str], task: GenerationTask) -> tuple[list[str], list[Tensor | None]]:
        """Return the texts that the model reads and their prompts; a voice adds its transcript and codes."""
        if task.voice is None:
            return texts, task.prompts
        if any(prompt is not None for prompt in task.prompts):
            raise UserError("a voice and an audio_prompt were given; give one of them")
        return [task.voice.script(text) for text in texts], [self.voice_codes(task.voice)] * len(texts)


def renamed_prompts(
    audio_prompt: Prompts, audio_prompt_path: Prompts, use_cfg_filter: bool | None
) -> Prompts:
    """Return the voice prompts; old names of nari-labs/dia are accepted with a warning."""
    if use_cfg_filter is not None:
        logger.warning("use_cfg_filter has no effect; use cfg_filter_top_k=None for no filter")
    if audio_prompt_path is None:
        return audio_prompt
    logger.warning("audio_prompt_path is an old name of audio_prompt")
    return audio_prompt_path


def with_overrides(sampling: Sampling, values: dict[str, Any]) -> Sampling:
    """Return sampling values with those in ``values`` replaced that are not None."""
    return replace(sampling, **{key: value for key, value in values.items() if value is not None})


def one_seed_each(seed: int | Sequence[int] | None, count: int) -> list[int]:
    """Return a seed for each of ``count`` texts.

    None and negative seeds are drawn from torch's global random numbers, so that ``torch.manual_seed`` makes
    them reproducible, as in nari-labs/dia.

    Raises:
        UserError: When a list has another length.
    """
    if isinstance(seed, Sequence) and len(seed) != count:
        raise UserError(f"{count} texts but {len(seed)} seeds; give one seed for each, or one for all")
    seeds = list(seed) if isinstance(seed, Sequence) else [-1 if seed is None else int(seed)] * count
    drawn = iter(torch.randint(SEEDS, (sum(item < 0 for item in seeds),)).tolist())
    return [next(drawn) if item < 0 else item for item in seeds]
