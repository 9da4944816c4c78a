"""Sesame's CSM as transformers runs it (`CsmForConditionalGeneration`), on this machine.

Turn by turn, each with what was spoken before as context: that is what the model is made for
(huggingface/transformers, docs/source/en/model_doc/csm.md). It has no tags. Without recordings as context its
voices are drawn by the seed.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoProcessor, CsmForConditionalGeneration, set_seed

from dia.systems.declaration import Declaration
from dia.systems.local import generation, load, pinned, placed, told, wav_bytes
from dia.systems.protocol import Answer, Call
from dia.systems.script_rendering import Line
from dia.types import Waveform

Message = dict[str, Any]


class Csm:
    """The turns of a script one after another. Voices are the roles of the chat template: "0", "1", ..."""

    package = "transformers"

    def __init__(self, declaration: Declaration) -> None:
        """Nothing is loaded before :meth:`ask`."""
        self.declaration = declaration

    @cached_property
    def model(self) -> tuple[Any, Any]:
        """Processor and network. Raises ``UserError`` when they are not to be had here."""
        return load(self.declaration, self._load)

    def calls(self, prompt_id: str, lines: Sequence[Line], take: int) -> list[Call]:
        """One call: the turns need each other's sound."""
        turns = [{"role": str(self.declaration.voices[line.voice]), "text": line.text} for line in lines]
        body = {"turns": turns, "seed": take, **generation(self.declaration)}
        return [Call(body, tuple(range(len(lines))), sum(len(line.text) for line in lines))]

    def open(self) -> None:
        """As the protocol says."""
        _ = self.model

    @torch.inference_mode()
    def ask(self, call: Call) -> Answer:
        """As the protocol says."""
        arguments = {key: value for key, value in call.body.items() if key not in ("turns", "seed")}
        set_seed(call.body["seed"])
        context: list[Message] = []
        waveforms: list[Waveform] = []
        for turn in call.body["turns"]:
            waveforms.append(self._speak([*context, _message(turn)], arguments))
            context.append(_message(turn, waveforms[-1]))
        return Answer(wav_bytes(np.concatenate(waveforms), self._rate), told(call.body, self.model[1]))

    def _speak(self, conversation: list[Message], arguments: dict[str, Any]) -> NDArray[np.float32]:
        processor, network = self.model
        inputs = processor.apply_chat_template(conversation, tokenize=True, return_dict=True).to(
            network.device
        )
        made = network.generate(**inputs, output_audio=True, **arguments)[0]
        return np.asarray(made.float().reshape(-1).cpu().numpy(), dtype=np.float32)

    @property
    def _rate(self) -> int:
        return int(self.model[0].feature_extractor.sampling_rate)

    def _load(self) -> tuple[Any, Any]:
        name, commit = self.declaration.model, pinned(self.declaration)
        network = placed(CsmForConditionalGeneration.from_pretrained(name, **commit), self.declaration)
        return AutoProcessor.from_pretrained(name, **commit), network


def _message(turn: dict[str, str], waveform: Waveform | None = None) -> Message:
    content: list[dict[str, Any]] = [{"type": "text", "text": turn["text"]}]
    if waveform is not None:
        content.append({"type": "audio", "path": waveform})
    return {"role": turn["role"], "content": content}
