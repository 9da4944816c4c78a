"""How the spectral codec is trained, apart from its task: reading a configuration loads no Lightning, which
takes seconds.
"""

from dataclasses import dataclass, field


@dataclass
class CodecLossWeights:
    """Weights of the losses of stage one (unitless); commitment and codebook are those of dac."""

    magnitude: float = 15.0
    loudness: float = 15.0
    commitment: float = 0.25
    codebook: float = 1.0


@dataclass
class CodecTraining:
    """How the codec is trained. Steps are batches."""

    steps: int = 15_000
    detail_from: int = 5_000
    """The step at which stage two begins."""
    clips: int = 12
    """Clips of a batch."""
    samples: int = 16_000
    """Samples of a clip."""
    learning_rate: float = 1e-3
    """The highest of each stage; each stage has the schedule of its own steps."""
    average_decay: float = 0.999
    """How much of the flow's averaged weights stays at each step."""
    sounds: float = 0.0
    """Share of a batch's clips that hold a labelled nonverbal, which ordinary clips seldom do."""
    decoder_of: str = ""
    """A spectral codec (a shipped name or a folder) whose decoder learns on while its encoder and quantizer
    stay as they are: data sets and models of its codes stay valid."""
    weights: CodecLossWeights = field(default_factory=CodecLossWeights)

    def problems(self) -> list[str]:
        """Return what is out of range, one sentence each with its remedy."""
        found = [
            f"codec_training.{key}={value} must be above 0"
            for key, value in (
                ("clips", self.clips),
                ("samples", self.samples),
                ("learning_rate", self.learning_rate),
            )
            if value <= 0
        ]
        if not 0 < self.detail_from < self.steps:
            found.append(
                f"codec_training.detail_from={self.detail_from} must lie between 0 and steps={self.steps}: without either of "
                "its stages the codec does not work"
            )
        if not 0 <= self.sounds <= 1:
            found.append(f"codec_training.sounds={self.sounds} is a share; choose 0 to 1")
        if not 0 <= self.average_decay < 1:
            found.append(
                f"codec_training.average_decay={self.average_decay} must be 0 to below 1; usual is .999"
            )
        return found
