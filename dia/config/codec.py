"""Codecs: which one a run uses, the shape of the spectral codec, and how that one is trained."""

from dataclasses import dataclass, field

from dia.config.checks import not_positive


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
    phase_iterations: int = 32
    """Iterations of Griffin-Lim."""


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
    weights: CodecLossWeights = field(default_factory=CodecLossWeights)

    def problems(self) -> list[str]:
        """Return which values are out of range, one sentence per problem."""
        positive = ("batch_size", "clip_samples", "learning_rate")
        problems = not_positive((f"codec_training.{name}", getattr(self, name)) for name in positive)
        if not 0 < self.refiner_start < self.steps:
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
