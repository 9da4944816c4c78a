"""Dia as transformers runs it (`DiaForConditionalGeneration` and its processor), on this machine."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from transformers import AutoProcessor, DiaForConditionalGeneration, set_seed

from dia.systems.declaration import Declaration
from dia.systems.local import generation, load, pinned, placed, told, wav_bytes
from dia.systems.protocol import Answer, Call
from dia.systems.script_rendering import Line


class DiaTransformers:
    """The whole script in one pass, as text with [S1] and [S2]."""

    package = "transformers"

    def __init__(self, declaration: Declaration) -> None:
        """Nothing is loaded before :meth:`ask`."""
        self.declaration = declaration

    @cached_property
    def model(self) -> tuple[Any, Any]:
        """Processor and network. Raises ``UserError`` when they are not to be had here."""
        return load(self.declaration, self._load)

    def calls(self, prompt_id: str, lines: Sequence[Line], take: int) -> list[Call]:
        """One pass."""
        text = " ".join(f"[{line.voice}] {line.text}" for line in lines)
        return [
            Call(
                {"text": text, "seed": take, **generation(self.declaration)},
                tuple(range(len(lines))),
                len(text),
            )
        ]

    def open(self) -> None:
        """As the protocol says."""
        _ = self.model

    @torch.inference_mode()
    def ask(self, call: Call) -> Answer:
        """As the protocol says."""
        processor, network = self.model
        arguments = {key: value for key, value in call.body.items() if key not in ("text", "seed")}
        set_seed(call.body["seed"])
        inputs = processor(text=[call.body["text"]], padding=True, return_tensors="pt").to(network.device)
        outputs = network.generate(**inputs, **arguments)
        waveform = processor.batch_decode(outputs)[0].float().reshape(-1).cpu().numpy()
        return Answer(
            wav_bytes(waveform, processor.feature_extractor.sampling_rate), told(call.body, network)
        )

    def _load(self) -> tuple[Any, Any]:
        name, commit = self.declaration.model, pinned(self.declaration)
        network = placed(DiaForConditionalGeneration.from_pretrained(name, **commit), self.declaration)
        return AutoProcessor.from_pretrained(name, **commit), network
