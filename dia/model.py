"""The class `Dia`: open a checkpoint, generate speech, save it; compatible with nari-labs/dia.

Example::

    from dia import Dia

    dia = Dia.from_pretrained("dia_open")
    waveform = dia.generate("[S1] Hello there. (laughs) [S2] Hello!", seed=1)
    dia.save_audio("hello.wav", waveform)
"""

from pathlib import Path
from typing import Any

import torch

from dia.checkpoint.hub import Selection
from dia.checkpoint.load import place_weights
from dia.checkpoint.source import preset_of
from dia.codecs.protocol import Codec
from dia.config.nari import DiaConfig
from dia.config.sampling import Sampling
from dia.dialogue.vocabulary import Vocabulary
from dia.errors import MissingFileError, as_unavailable
from dia.home import existing
from dia.inference.loading import ComputeDtype, default_device, open_checkpoint, open_codec, torch_dtype
from dia.inference.long_form_speech import LongFormSpeech
from dia.network import DiaNetwork
from dia.resources import DEFAULT_CHECKPOINT

__all__ = ["DEFAULT_SAMPLE_RATE", "SAMPLE_RATE_RATIO", "ComputeDtype", "Dia"]
DEFAULT_SAMPLE_RATE = 44_100
"""Hertz of Dia-1.6B's codec. That of any model is ``dia.codec.sample_rate``."""
SAMPLE_RATE_RATIO = 512
"""Samples per frame of Dia-1.6B's codec. That of any model is ``dia.codec.hop``."""
_get_default_device = default_device  # the name that programs import from nari's `dia.model`


class Dia(LongFormSpeech):
    """A Dia checkpoint with its codec, ready to generate speech.

    Without a codec (``load_dac=False``) it generates codes instead of audio.

    Args:
        config: Shape of a network whose weights are not set; `model.load_state_dict` sets them, and
            `_load_dac_model` opens the codec. Use :meth:`from_pretrained` to open a checkpoint.
        compute_dtype: ``float32``, ``float16`` or ``bfloat16``; norms stay in float32.
        device: Device to run on; None selects a GPU when there is one.
        load_dac: Whether a codec belongs to the model.

    Attributes:
        network: The network, in eval mode.
        default_sampling: The sampling values of calls that do not override them.
        vocabulary: The words that the network was trained on; None for an open vocabulary.
    """

    def __init__(
        self,
        config: DiaConfig,
        compute_dtype: str | ComputeDtype | torch.dtype = "float32",
        device: str | torch.device | None = None,
        load_dac: bool = True,
    ) -> None:
        self.compute_dtype, self.load_dac = torch_dtype(compute_dtype), load_dac
        with torch.device("meta"):
            network = place_weights(DiaNetwork(config.shape(), None), "meta", self.compute_dtype)
        network = network.to_empty(device=default_device() if device is None else device)
        self.default_sampling, self.vocabulary = Sampling(**preset_of(network.config)), None
        self._assemble(network.eval(), None)

    @classmethod
    def from_network(
        cls,
        network: DiaNetwork,
        codec: Codec | None,
        sampling: Sampling,
        vocabulary: Vocabulary | None = None,
    ) -> "Dia":
        """Return a model of a network in eval mode and its codec, or None to generate codes.

        ``vocabulary`` holds the words that the network was trained on; None means an open vocabulary.
        """
        dia = cls.__new__(cls)
        dia.vocabulary = vocabulary
        dia.compute_dtype = network.decoder.embeddings.embed.weight.dtype
        dia.load_dac, dia.default_sampling = codec is not None, sampling
        dia._assemble(network, codec)
        return dia

    @classmethod
    def from_pretrained(
        cls,
        model_name: str = DEFAULT_CHECKPOINT,
        compute_dtype: str | ComputeDtype | torch.dtype = "float32",
        device: str | torch.device | None = None,
        load_dac: bool = True,
        *,
        codec: str | None = None,
        cross_rope: bool | None = None,
        quantization: str | None = None,
        config_path: str | Path | None = None,
        adapter: str | None = None,
        file: str | None = None,
        revision: str | None = None,
        token: str | bool | None = None,
    ) -> "Dia":
        """Open a checkpoint of any layout (nari, transformers, Lightning, or our own).

        Args:
            model_name: A shipped model (``dia_open``), a run folder, a model folder, a weights file, or a Hub
                id such as ``nari-labs/Dia-1.6B-0626``, also as ``owner/name@revision/file``.
            compute_dtype: ``float32``, ``float16`` or ``bfloat16``; norms stay in float32.
            device: Device to run on; None selects a GPU when there is one.
            load_dac: Whether to open the codec. Without one :meth:`generate` returns codes.
            codec: Name or path of a codec that replaces the one the checkpoint names.
            cross_rope: Whether the checkpoint is of the first generation of Dia-1.6B, for checkpoints whose
                config does not determine it.
            quantization: ``int8``, ``int4`` or ``fp8`` (:mod:`dia.inference.quantization`), or None.
            config_path: A config.json that does not lie beside the weights.
            adapter: Folder of a LoRA adapter trained on this checkpoint, or of the run that trained it; it is
                merged into the weights.
            file: The weights file of a folder or repository that holds several.
            revision: Branch, tag or commit of the Hub; None is the main branch.
            token: Access token of the Hub; None takes it from the environment (``HF_TOKEN``).

        Returns:
            The opened model.

        Raises:
            UnavailableError: When checkpoint, codec or adapter are damaged or do not fit each other;
                :class:`MissingFileError` when one does not exist. Both are also ``RuntimeError``.

        Example::

            dia = Dia.from_pretrained("nari-labs/Dia-1.6B-0626", compute_dtype="bfloat16", device="cuda")
        """
        dtype = torch_dtype(compute_dtype)
        place = torch.device(default_device() if device is None else device)
        with as_unavailable():
            checkpoint = open_checkpoint(
                str(model_name),
                dtype,
                place,
                cross_rope,
                quantization,
                config_path,
                adapter,
                Selection(file, revision, token),
            )
            opened = open_codec(checkpoint.codec, codec, str(model_name), place) if load_dac else None
        dia = cls.from_network(
            checkpoint.network, opened, Sampling(**checkpoint.sampling), checkpoint.vocabulary
        )
        dia.compute_dtype = dtype
        return dia

    @classmethod
    def from_local(
        cls,
        config_path: str | Path,
        checkpoint_path: str | Path,
        compute_dtype: str | ComputeDtype | torch.dtype = "float32",
        device: str | torch.device | None = None,
        load_dac: bool = True,
        **more: Any,
    ) -> "Dia":
        """Open a weights file with a config.json that may lie elsewhere.

        Other arguments and errors are those of :meth:`from_pretrained`.
        """
        if not existing(checkpoint_path).exists():
            raise MissingFileError(f"there is no checkpoint at {checkpoint_path}; check the path")
        return cls.from_pretrained(
            str(checkpoint_path), compute_dtype, device, load_dac, config_path=config_path, **more
        )
