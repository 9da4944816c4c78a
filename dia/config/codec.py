"""Codecs: which one a run uses, the shape of the spectral codec, and how that one is trained."""

from dataclasses import dataclass, field

from dia.config.checks import not_positive

SPECTRAL_RANGES: dict[str, tuple[float, float]] = {
    "sample_rate": (1_000, 400_000),
    "hop": (1, 1 << 14),
    "n_fft": (2, 1 << 14),
    "mels": (1, 1024),
    "stride": (1, 64),
    "encoder_layers": (1, 128),
    "encoder_width": (1, 1 << 14),
    "latent_width": (1, 1 << 14),
    "codebooks": (1, 64),
    "codebook_size": (2, 1 << 16),
    "codebook_width": (1, 1 << 10),
    "quantizer_dropout": (0, 1),
    "decoder_layers": (1, 128),
    "decoder_width": (1, 1 << 14),
    "detail_layers": (1, 128),
    "detail_width": (1, 1 << 14),
    "detail_steps": (1, 1000),
    "detail_noise": (0, 10),
    "phase_iterations": (0, 1000),
    "phase_block": (1, 1 << 14),
    "phase_lookahead": (1, 1 << 10),
}
DECODING_KEYS = ("detail_steps", "detail_noise", "phase_iterations", "phase_block", "phase_lookahead")
MAX_NOISE = 1 << 24  # values of the table that `dia.codecs.flow_refiner.CodeNoise` draws


@dataclass
class CodecConfig:
    """Which codec a run uses."""

    name: str = "codec_nano"
    """A shipped name (`codec_nano`), a DAC model by name (`dac_44khz`), a DAC `.pth` file, or the folder of a
    spectral codec."""


@dataclass
class SpectralCodecConfig:
    """Shape of the spectral codec. A codec frame has ``hop * stride`` samples."""

    sample_rate: int = 16_000
    """Sample rate in hertz."""
    hop: int = 160
    """Samples between two frames of the short-time Fourier transform."""
    n_fft: int = 640
    """Samples of a window of the short-time Fourier transform."""
    mels: int = 100
    """Mel bands that the encoder reads."""
    stride: int = 4
    """Spectral frames per codec frame."""
    encoder_layers: int = 4
    """ConvNeXt blocks of the encoder."""
    encoder_width: int = 192
    """Features of the encoder."""
    latent_width: int = 128
    """Features of the latents that are quantized."""
    codebooks: int = 8
    """Codebooks of the residual vector quantizer: the codec's channels."""
    codebook_size: int = 512
    """Codes per codebook."""
    codebook_width: int = 8
    """Features of a codebook entry."""
    quantizer_dropout: float = 0.25
    """Share of training clips that are decoded from only the first codebooks."""
    decoder_layers: int = 8
    """ConvNeXt blocks of the decoder."""
    decoder_width: int = 256
    """Features of the decoder."""
    detail_layers: int = 8
    """Layers of the flow that refines the decoder's spectra."""
    detail_width: int = 320
    """Features of the flow that refines the decoder's spectra."""
    detail_steps: int = 4
    """Euler steps of the flow."""
    detail_noise: float = 0.85
    """Standard deviation of the noise that the flow starts from: 1 as in training; at 0 noises become hums.
    """
    phase_iterations: int = 24
    """Iterations of Griffin-Lim over a block of frames."""
    phase_block: int = 32
    """Frames whose phases Griffin-Lim estimates together."""
    phase_lookahead: int = 8
    """Later frames that the phases of a block depend on."""

    @property
    def fewest_weights(self) -> int:
        """A lower bound on the number of weights, without building the network."""
        stacks = (
            (self.encoder_layers, self.encoder_width),
            (self.decoder_layers, self.decoder_width),
            (self.detail_layers, self.detail_width),
        )
        blocks = sum(layers * 6 * width**2 for layers, width in stacks)
        return blocks + self.codebooks * self.codebook_size * self.codebook_width

    def problems(self) -> list[str]:
        """Return which values are out of range, one sentence per problem.

        A config may come from outside: sizes are checked before memory is taken.
        """
        ranges = {name: getattr(self, name) for name in SPECTRAL_RANGES}
        problems = [
            f"{name}={value} must be {low} to {high}"
            for name, value in ranges.items()
            for low, high in [SPECTRAL_RANGES[name]]
            if not low <= value <= high
        ]
        if not problems and self.codebook_size * self.stride * (self.n_fft // 2 + 1) > MAX_NOISE:
            problems.append(
                "codebook_size * stride * n_fft is too large for the table of noise; lower one of them"
            )
        if not problems and self.n_fft % self.hop:
            problems.append(f"n_fft={self.n_fft} must be a multiple of hop={self.hop}")
        return problems


@dataclass
class CodecLossWeights:
    """Weights of the losses of the first training stage; commitment and codebook are those of dac."""

    magnitude: float = 15.0
    """Weight of the log-magnitude loss."""
    loudness: float = 15.0
    """Weight of the loudness loss."""
    commitment: float = 0.25
    """Weight of the quantizer's commitment loss."""
    codebook: float = 1.0
    """Weight of the quantizer's codebook loss."""


INITIAL_CODECS = ("finetune_decoder_of", "distill_refiner_of", "continue_from")


@dataclass
class CodecTraining:
    """How the spectral codec is trained. A step is one batch."""

    steps: int = 15_000
    """Optimizer steps of both stages together."""
    refiner_start: int = 5_000
    """Step at which the second stage begins: the flow that refines spectra."""
    batch_size: int = 12
    """Clips per batch."""
    clip_samples: int = 16_000
    """Length of a clip in samples; a multiple of a codec frame."""
    learning_rate: float = 1e-3
    """Highest learning rate of each stage; each stage has its own schedule."""
    ema_decay: float = 0.999
    """Decay of the flow's exponential moving average, per step."""
    nonverbal_fraction: float = 0.0
    """Share of a batch's clips that contain a labelled nonverbal, which random clips seldom do."""
    finetune_decoder_of: str = ""
    """A spectral codec (a shipped name or a folder) whose decoder is trained further while its encoder and
    quantizer stay frozen, so that data sets and models of its codes remain valid."""
    distill_refiner_of: str = ""
    """A spectral codec whose flow is distilled to one Euler step, which decodes several times as fast;
    everything else of it stays as it is. All `steps` are then of this kind."""
    continue_from: str = ""
    """A spectral codec whose weights are all trained further, so that its codes change: for other voices and
    sounds than it was trained on."""
    teacher_steps: int = 8
    """Euler steps of the flow that is distilled."""
    weights: CodecLossWeights = field(default_factory=CodecLossWeights)

    @property
    def initial(self) -> str:
        """The codec that training starts from; empty for none."""
        return self.finetune_decoder_of or self.distill_refiner_of or self.continue_from

    def problems(self) -> list[str]:
        """Return which values are out of range, one sentence per problem."""
        positive = ("steps", "batch_size", "clip_samples", "learning_rate", "teacher_steps")
        problems = not_positive((f"codec_training.{name}", getattr(self, name)) for name in positive)
        if sum(bool(getattr(self, key)) for key in INITIAL_CODECS) > 1:
            problems.append(
                f"codec_training: {', '.join(INITIAL_CODECS)} are separate runs; choose one of them"
            )
        if not self.distill_refiner_of and not 0 < self.refiner_start < self.steps:
            problems.append(
                f"codec_training.refiner_start={self.refiner_start} must lie between 0 and "
                f"steps={self.steps}: the codec needs both stages"
            )
        if not 0 <= self.nonverbal_fraction <= 1:
            problems.append(
                f"codec_training.nonverbal_fraction={self.nonverbal_fraction} is a share; choose 0 to 1"
            )
        if not 0 <= self.ema_decay < 1:
            problems.append(f"codec_training.ema_decay={self.ema_decay} must be 0 to below 1; usual is .999")
        return problems
