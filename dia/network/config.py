"""Shape of a Dia network. The defaults are Dia-1.6B (nari-labs/dia `dia/config.py` at 0626, transformers'
DiaConfig).
"""

from dataclasses import asdict, dataclass, field

DIA_DELAYS = (0, 8, 9, 10, 11, 12, 13, 14, 15)  # steps, by codec channel


@dataclass
class EncoderConfig:
    """The text encoder. Widths are features, ``max_positions`` text bytes."""

    layers: int = 12
    width: int = 1024
    inner_width: int = 4096
    heads: int = 16
    head_width: int = 128
    vocabulary: int = 256
    max_positions: int = 1024


@dataclass
class DecoderConfig:
    """The audio decoder. ``codebook_size`` is the codec's; EOS, PAD and BOS follow it. ``max_positions`` is
    in steps.
    """

    layers: int = 18
    width: int = 2048
    inner_width: int = 8192
    heads: int = 16
    key_value_heads: int = 4
    head_width: int = 128
    cross_heads: int = 16
    cross_head_width: int = 128
    codebook_size: int = 1024
    max_positions: int = 3072

    @property
    def eos(self) -> int:
        """Id of the end of a channel."""
        return self.codebook_size

    @property
    def pad(self) -> int:
        """Id of what follows the end."""
        return self.codebook_size + 1

    @property
    def bos(self) -> int:
        """Id of what precedes a channel's first code."""
        return self.codebook_size + 2

    @property
    def vocabulary(self) -> int:
        """Ids per channel: the codes, EOS, PAD, BOS and one that is never used, as in Dia-1.6B (1,028)."""
        return self.codebook_size + 4


@dataclass
class DiaConfig:
    """Encoder, decoder, the delay of each codec channel in steps, and two facts shared by all layers.

    ``cross_rope`` rotates the queries and keys of cross-attention: true for the first Dia-1.6B checkpoint,
    false for 0626 and everything trained here. The tensors look the same either way, so a wrong value gives
    bad sound, no error.
    """

    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    delays: list[int] = field(default_factory=lambda: list(DIA_DELAYS))
    cross_rope: bool = False
    norm_epsilon: float = 1e-5
    rope_theta: float = 10_000.0

    @property
    def channels(self) -> int:
        """Number of codec channels."""
        return len(self.delays)

    @property
    def max_frames(self) -> int:
        """Longest clip in codec frames: what is left of the positions after BOS, EOS and the delayed tail."""
        return self.decoder.max_positions - 2 - max(self.delays, default=0)

    def problems(self) -> list[str]:
        """Return what cannot work in this shape, one sentence each with its remedy."""
        sizes = {
            f"{part}.{name}": size
            for part in ("encoder", "decoder")
            for name, size in asdict(getattr(self, part)).items()
        }
        if found := [f"{name}={size} must be 1 or more" for name, size in sizes.items() if size < 1]:
            return found
        if self.delays[:1] != [0] or self.delays != sorted(self.delays):
            found.append(
                f"delays={self.delays} must begin with 0 and not fall; Dia-1.6B has {list(DIA_DELAYS)}"
            )
        if self.decoder.heads % self.decoder.key_value_heads:
            found.append(
                f"decoder.heads={self.decoder.heads} is not a multiple of "
                f"decoder.key_value_heads={self.decoder.key_value_heads}; choose a divisor"
            )
        for name, width in (
            ("encoder.head_width", self.encoder.head_width),
            ("decoder.head_width", self.decoder.head_width),
            ("decoder.cross_head_width", self.decoder.cross_head_width),
        ):
            if width % 2:
                found.append(f"{name}={width} is odd; rotary positions need an even width")
        if self.max_frames < 1:
            found.append(
                f"decoder.max_positions={self.decoder.max_positions} leaves no room for a clip; raise it"
            )
        return found
