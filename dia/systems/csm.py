"""Sesame's CSM on this machine, through transformers (`CsmForConditionalGeneration`).

The turns are generated one after another, each with the previous turns and their audio as context, as the
model is designed (huggingface/transformers, docs/source/en/model_doc/csm.md). CSM has no tags. Without
recordings as context the seed determines its voices.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from transformers import AutoProcessor, CsmForConditionalGeneration, set_seed

from dia.systems.declaration import SystemDeclaration
from dia.systems.local import (
    float_wav_bytes,
    generation_arguments,
    load_model,
    place_network,
    revision_arguments,
    with_revision,
)
from dia.systems.protocol import SystemRequest, SystemResponse
from dia.systems.script_rendering import RenderedTurn
from dia.types import Waveform

Message = dict[str, Any]


class CsmSystem:
    """Generate the turns of a script in sequence. Voices are roles of the chat template: "0", "1", ..."""

    package = "transformers"

    def __init__(self, declaration: SystemDeclaration) -> None:
        """Loads nothing; see :meth:`open`."""
        self.declaration = declaration

    @cached_property
    def model(self) -> tuple[Any, Any]:
        """Processor and network. Raises ``UserError`` when they cannot be loaded."""
        return load_model(self.declaration, self._load)

    def build_requests(self, prompt_id: str, turns: Sequence[RenderedTurn], take: int) -> list[SystemRequest]:
        """Return one request, because each turn needs the audio of the previous ones."""
        listed = [{"role": str(self.declaration.voices[turn.voice]), "text": turn.text} for turn in turns]
        body = {"turns": listed, "seed": take, **generation_arguments(self.declaration)}
        return [SystemRequest(body, tuple(range(len(turns))), sum(len(turn.text) for turn in turns))]

    def open(self) -> None:
        """Load the model."""
        _ = self.model

    @torch.inference_mode()
    def send(self, request: SystemRequest) -> SystemResponse:
        """Generate all turns and return them as one waveform."""
        arguments = {key: value for key, value in request.body.items() if key not in ("turns", "seed")}
        set_seed(request.body["seed"])
        context: list[Message] = []
        waveforms: list[Waveform] = []
        for turn in request.body["turns"]:
            waveforms.append(self._generate_turn([*context, _message(turn)], arguments))
            context.append(_message(turn, waveforms[-1]))
        audio = float_wav_bytes(np.concatenate(waveforms), self._sample_rate)
        return SystemResponse(audio, with_revision(request.body, self.model[1]))

    def _generate_turn(self, conversation: list[Message], arguments: dict[str, Any]) -> Waveform:
        processor, network = self.model
        inputs = processor.apply_chat_template(conversation, tokenize=True, return_dict=True)
        audio = network.generate(**inputs.to(network.device), output_audio=True, **arguments)[0]
        return np.asarray(audio.float().reshape(-1).cpu().numpy(), dtype=np.float32)

    @property
    def _sample_rate(self) -> int:
        return int(self.model[0].feature_extractor.sampling_rate)

    def _load(self) -> tuple[Any, Any]:
        name, revision = self.declaration.model, revision_arguments(self.declaration)
        network = CsmForConditionalGeneration.from_pretrained(name, **revision)
        return AutoProcessor.from_pretrained(name, **revision), place_network(network, self.declaration)


def _message(turn: dict[str, str], waveform: Waveform | None = None) -> Message:
    content: list[dict[str, Any]] = [{"type": "text", "text": turn["text"]}]
    if waveform is not None:
        content.append({"type": "audio", "path": waveform})
    return {"role": turn["role"], "content": content}
