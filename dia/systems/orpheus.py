"""Orpheus on this machine: a Llama of transformers that generates codes of SNAC (hubertsiuzdak/snac).

Token ids and the order of codes follow the authors' inference notebook (canopyai/Orpheus-TTS, linked in
README.md): the text is framed by 128259 ... 128009 128260, speech starts after 128257 and ends with 128258.
Seven tokens are one frame: one code of the coarse level, two of the middle and four of the fine one, each in
its own block of 4,096 ids from 128266 on.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import hf_hub_download
from snac import SNAC
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, set_seed

from dia.systems.declaration import SystemDeclaration
from dia.systems.local import (
    float_wav_bytes,
    generation_arguments,
    load_model,
    place_network,
    revision_arguments,
    with_revision,
)
from dia.systems.protocol import RequestFailed, SystemRequest, SystemResponse
from dia.systems.script_rendering import RenderedTurn

START_OF_HUMAN = 128259
END_OF_TEXT = 128009
END_OF_HUMAN = 128260
START_OF_SPEECH = 128257
END_OF_SPEECH = 128258
FIRST_CODE = 128266
BLOCK = 4096
FRAME = 7  # tokens
LEVELS = ((0,), (1, 4), (2, 3, 5, 6))  # positions within a frame of the coarse, middle and fine level


class OrpheusSystem:
    """Generate one turn at a time from `voice: words <laugh>`; the voices are names such as tara and leo."""

    package = "transformers"

    def __init__(self, declaration: SystemDeclaration) -> None:
        """Loads nothing; see :meth:`open`."""
        self.declaration = declaration

    @cached_property
    def model(self) -> tuple[Any, Any, Any]:
        """Tokenizer, language model and codec. Raises ``UserError`` when they cannot be loaded."""
        return load_model(self.declaration, self._load)

    def build_requests(self, prompt_id: str, turns: Sequence[RenderedTurn], take: int) -> list[SystemRequest]:
        """Return one request for each turn."""
        settings = {"seed": take, **generation_arguments(self.declaration)}
        texts = [f"{self.declaration.voices[turn.voice]}: {turn.text}" for turn in turns]
        return [
            SystemRequest({"prompt": text, **settings}, (index,), len(text))
            for index, text in enumerate(texts)
        ]

    def open(self) -> None:
        """Load the models."""
        _ = self.model

    @torch.inference_mode()
    def send(self, request: SystemRequest) -> SystemResponse:
        """Generate one turn. Raises :class:`RequestFailed` when the output holds no whole frame of speech."""
        tokenizer, network, codec = self.model
        arguments = {key: value for key, value in request.body.items() if key not in ("prompt", "seed")}
        set_seed(request.body["seed"])
        text = tokenizer(request.body["prompt"]).input_ids
        ids = torch.tensor([[START_OF_HUMAN, *text, END_OF_TEXT, END_OF_HUMAN]], device=network.device)
        output = network.generate(
            ids, attention_mask=torch.ones_like(ids), eos_token_id=END_OF_SPEECH, **arguments
        )[0]
        codes = parse_codes(output[ids.shape[1] :].tolist())
        if not codes[0].numel():
            raise RequestFailed(
                "no_speech", "the model generated no whole frame of speech", request=request.body
            )
        waveform = codec.decode([level[None].to(network.device) for level in codes])
        audio = float_wav_bytes(waveform.float().reshape(-1).cpu().numpy(), codec.sampling_rate)
        return SystemResponse(audio, with_revision(request.body, network))

    def _load(self) -> tuple[Any, Any, Any]:
        name, revision = self.declaration.model, revision_arguments(self.declaration)
        network = AutoModelForCausalLM.from_pretrained(name, **revision)
        codec = load_snac(str(self.declaration.settings["codec"]))
        return (
            AutoTokenizer.from_pretrained(name, **revision),
            place_network(network, self.declaration),
            place_network(codec, self.declaration),
        )


def parse_codes(tokens: list[int]) -> list[Tensor]:
    """Return the codes of the three levels, (F,), (2F,) and (4F,), after the last start token.

    An incomplete frame, or a token outside its block, ends the speech, because the alignment is lost from
    there.
    """
    begin = len(tokens) - tokens[::-1].index(START_OF_SPEECH) if START_OF_SPEECH in tokens else 0
    frames: list[list[int]] = []
    for first in range(begin, len(tokens) - FRAME + 1, FRAME):
        group = tokens[first : first + FRAME]
        frame = [token - FIRST_CODE - position * BLOCK for position, token in enumerate(group)]
        if not all(0 <= code < BLOCK for code in frame):
            break
        frames.append(frame)
    return [
        torch.tensor([frame[position] for frame in frames for position in positions], dtype=torch.long)
        for positions in LEVELS
    ]


def load_snac(name: str) -> SNAC:
    """Return SNAC from a folder or a Hub id; reads tensors only (SNAC's own loader unpickles anything)."""
    folder = Path(name)
    config, weights = (
        folder / file if folder.is_dir() else Path(hf_hub_download(name, file))
        for file in ("config.json", "pytorch_model.bin")
    )
    codec = SNAC.from_config(str(config))
    codec.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return codec.eval()
