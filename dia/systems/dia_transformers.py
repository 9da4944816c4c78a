"""Dia on this machine, through transformers (`DiaForConditionalGeneration` and its processor)."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from transformers import AutoProcessor, DiaForConditionalGeneration, set_seed

from dia.checkpoint import read_config
from dia.checkpoint.transformers_layout import require_transformers_generation
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


class DiaTransformersSystem:
    """Generate the whole script in one pass, from text with [S1] and [S2]."""

    package = "transformers"

    def __init__(self, declaration: SystemDeclaration) -> None:
        """Loads nothing; see :meth:`open`."""
        self.declaration = declaration

    @cached_property
    def model(self) -> tuple[Any, Any]:
        """Processor and network. Raises ``UserError`` when they cannot be loaded."""
        return load_model(self.declaration, self._load)

    def build_requests(self, prompt_id: str, turns: Sequence[RenderedTurn], take: int) -> list[SystemRequest]:
        """Return one request with the whole script."""
        text = " ".join(f"[{turn.voice}] {turn.text}" for turn in turns)
        body = {"text": text, "seed": take, **generation_arguments(self.declaration)}
        return [SystemRequest(body, tuple(range(len(turns))), len(text))]

    def open(self) -> None:
        """Load the model."""
        _ = self.model

    @torch.inference_mode()
    def send(self, request: SystemRequest) -> SystemResponse:
        """Generate the script and return its waveform."""
        processor, network = self.model
        arguments = {key: value for key, value in request.body.items() if key not in ("text", "seed")}
        set_seed(request.body["seed"])
        inputs = processor(text=[request.body["text"]], padding=True, return_tensors="pt").to(network.device)
        outputs = network.generate(**inputs, **arguments)
        waveform = processor.batch_decode(outputs)[0].float().reshape(-1).cpu().numpy()
        audio = float_wav_bytes(waveform, processor.feature_extractor.sampling_rate)
        return SystemResponse(audio, with_revision(request.body, network))

    def _load(self) -> tuple[Any, Any]:
        name, revision = self.declaration.model, revision_arguments(self.declaration)
        if Path(name).is_dir():
            require_transformers_generation(read_config(name), name)
        network = DiaForConditionalGeneration.from_pretrained(name, **revision)
        return AutoProcessor.from_pretrained(name, **revision), place_network(network, self.declaration)
