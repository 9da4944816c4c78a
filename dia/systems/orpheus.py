"""Orpheus on this machine: a Llama of transformers that writes the codes of SNAC (hubertsiuzdak/snac, package
`snac`).

Token ids and the order of codes are those of the authors' inference notebook (canopyai/Orpheus-TTS, README.md
links it): text is framed by 128259 ... 128009 128260, speech begins after 128257 and ends with 128258. Seven
tokens make a frame: one code of the coarse level, two of the middle and four of the fine one, each in a block
of 4,096 ids of its own from 128266 on.
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

from dia.systems.declaration import Declaration
from dia.systems.local import generation, load, pinned, placed, told, wav_bytes
from dia.systems.protocol import Answer, Call, Refusal
from dia.systems.script_rendering import Line

START_OF_HUMAN, END_OF_TEXT, END_OF_HUMAN = 128259, 128009, 128260
START_OF_SPEECH, END_OF_SPEECH = 128257, 128258
FIRST_CODE, BLOCK = 128266, 4096
LEVELS = (
    (0,),
    (1, 4),
    (2, 3, 5, 6),
)  # which of a frame's seven tokens belong to the coarse, middle and fine level


class Orpheus:
    """A pass a turn, `voice: words <laugh>`; the voices are names such as tara and leo."""

    package = "transformers"

    def __init__(self, declaration: Declaration) -> None:
        """Nothing is loaded before :meth:`ask`."""
        self.declaration = declaration

    @cached_property
    def model(self) -> tuple[Any, Any, Any]:
        """Tokenizer, language model and codec. Raises ``UserError`` when they are not to be had here."""
        return load(self.declaration, self._load)

    def calls(self, prompt_id: str, lines: Sequence[Line], take: int) -> list[Call]:
        """One pass a turn."""
        settings = {"seed": take, **generation(self.declaration)}
        texts = [f"{self.declaration.voices[line.voice]}: {line.text}" for line in lines]
        return [Call({"prompt": text, **settings}, (place,), len(text)) for place, text in enumerate(texts)]

    def open(self) -> None:
        """As the protocol says."""
        _ = self.model

    @torch.inference_mode()
    def ask(self, call: Call) -> Answer:
        """As the protocol says. Raises :class:`Refusal` when what the model wrote holds no whole frame of
        speech.
        """
        tokenizer, network, codec = self.model
        arguments = {key: value for key, value in call.body.items() if key not in ("prompt", "seed")}
        set_seed(call.body["seed"])
        words = tokenizer(call.body["prompt"]).input_ids
        ids = torch.tensor([[START_OF_HUMAN, *words, END_OF_TEXT, END_OF_HUMAN]], device=network.device)
        written = network.generate(
            ids, attention_mask=torch.ones_like(ids), eos_token_id=END_OF_SPEECH, **arguments
        )[0]
        codes = codes_of(written[ids.shape[1] :].tolist())
        if not codes[0].numel():
            raise Refusal("no_speech", "the model wrote no whole frame of speech", request=call.body)
        waveform = (
            codec.decode([level[None].to(network.device) for level in codes])
            .float()
            .reshape(-1)
            .cpu()
            .numpy()
        )
        return Answer(wav_bytes(waveform, codec.sampling_rate), told(call.body, network))

    def _load(self) -> tuple[Any, Any, Any]:
        name, commit = self.declaration.model, pinned(self.declaration)
        network = placed(AutoModelForCausalLM.from_pretrained(name, **commit), self.declaration)
        codec = placed(load_snac(str(self.declaration.settings["codec"])), self.declaration)
        return AutoTokenizer.from_pretrained(name, **commit), network, codec


def codes_of(tokens: list[int]) -> list[Tensor]:
    """Return the codes of the three levels, (F,), (2F,) and (4F,), of the whole frames after the last start
    of speech.

    A frame that is cut off, or of which a token is out of its block, ends the speech: what follows has lost
    its step.
    """
    begin = len(tokens) - tokens[::-1].index(START_OF_SPEECH) if START_OF_SPEECH in tokens else 0
    frames: list[list[int]] = []
    for first in range(begin, len(tokens) - 6, 7):
        frame = [token - FIRST_CODE - place * BLOCK for place, token in enumerate(tokens[first : first + 7])]
        if not all(0 <= code < BLOCK for code in frame):
            break
        frames.append(frame)
    return [
        torch.tensor([frame[place] for frame in frames for place in places], dtype=torch.long)
        for places in LEVELS
    ]


def load_snac(name: str) -> SNAC:
    """Return SNAC from a folder or a Hub id. Its own loader would unpickle anything; here only tensors are
    read.
    """
    folder = Path(name)
    files = [
        folder / part if folder.is_dir() else Path(hf_hub_download(name, part))
        for part in ("config.json", "pytorch_model.bin")
    ]
    codec = SNAC.from_config(str(files[0]))
    codec.load_state_dict(torch.load(files[1], map_location="cpu", weights_only=True))
    return codec.eval()
