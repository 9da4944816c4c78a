"""Attributes and methods of nari-labs/dia's `Dia` that programs written for it use, beside its main methods.

Source: `dia/model.py` of nari-labs/dia (876125e). They describe or replace the parts of a model.

Legend: L samples, T codec frame, C codec channel.
"""

from typing import Any

import torch
from torch import Tensor, nn

from dia.checkpoint.codec import NARI_CODEC
from dia.checkpoint.source import to_our_names
from dia.codecs.dac import DacCodec
from dia.codecs.protocol import Codec, pad_to_frames
from dia.codecs.registry import load_codec
from dia.config.nari import DiaConfig
from dia.errors import UserError, as_unavailable
from dia.inference.generation import BatchGenerator
from dia.inference.synthesizer import Synthesizer
from dia.network import DiaNetwork


class NotDacError(UserError, AttributeError):
    """The codec of a model is no DAC, so that there is no ``dac_model``."""


class NariInterface:
    """The interface of nari's `Dia` over a network and a codec.

    Attributes:
        network: The network.
        compute_dtype: Data type of its weights; norms are in float32.
        load_dac: Whether a codec is opened with a checkpoint.
    """

    network: DiaNetwork
    compute_dtype: torch.dtype
    load_dac: bool
    _generator: BatchGenerator

    def _assemble(self, network: DiaNetwork, codec: Codec | None) -> None:
        """Set network and codec."""
        network.register_load_state_dict_pre_hook(_rename_tensors)  # type: ignore[no-untyped-call]  # torch has no types here
        self.network = network
        self._generator = BatchGenerator(network, None if codec is None else Synthesizer(network, codec))

    @property
    def model(self) -> DiaNetwork:
        """The network. Its ``load_state_dict`` takes tensors of any layout (:mod:`dia.checkpoint.source`)."""
        return self.network

    @model.setter
    def model(self, network: DiaNetwork) -> None:
        """Replace the network; the codec stays."""
        synthesizer = self._generator.synthesizer
        self._assemble(network, None if synthesizer is None else synthesizer.codec)

    @property
    def config(self) -> DiaConfig:
        """The shape of the network under nari's names; it cannot be changed."""
        return DiaConfig.of(self.network.config)

    @property
    def device(self) -> torch.device:
        """The device of the network."""
        return next(self.network.parameters()).device

    @property
    def dac_model(self) -> Any:
        """The codec's `dac.DAC`; None when no codec was opened.

        Raises:
            NotDacError: When the codec is no DAC. ``codec`` has the protocol of all codecs.
        """
        synthesizer = self._generator.synthesizer
        if synthesizer is None:
            return None
        if not isinstance(synthesizer.codec, DacCodec):
            raise NotDacError(
                f"the codec {synthesizer.codec.name} is no DAC, so that there is no dac_model; use "
                "codec.encode and codec.decode"
            )
        return synthesizer.codec.model

    def _load_dac_model(self) -> None:
        """Open the DAC of 44.1 kHz. Raises :class:`dia.errors.UnavailableError`."""
        with as_unavailable():
            self._assemble(self.network, load_codec(NARI_CODEC, str(self.device)))

    def _encode(self, audio_1L: Tensor) -> Tensor:
        """Return the codes (T, C) of samples (1, L) at the codec's rate."""
        codec = self._generator.require_synthesizer().codec
        return codec.encode(pad_to_frames(audio_1L, codec.hop))[0]

    def _decode(self, codes_TC: Tensor) -> Tensor:
        """Return the samples (L,) of codes (T, C)."""
        return self._generator.require_synthesizer().codec.decode(codes_TC[None])[0]


def _rename_tensors(module: nn.Module, state: dict[str, Tensor], *_: Any) -> None:
    """Give the tensors of a state dict our names before a network loads it."""
    ours = to_our_names(state)
    if ours is not state:
        state.clear()
        state.update(ours)
