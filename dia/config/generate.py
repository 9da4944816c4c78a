"""Keys of `python -m dia.generate`."""

from dataclasses import dataclass, field

from dia.config.choices import LintLevel, Quantization
from dia.config.codec import CodecConfig
from dia.config.sampling import SamplingOverrides
from dia.resources import DEFAULT_CHECKPOINT


@dataclass
class GenerateConfig:
    """Everything that `python -m dia.generate` reads."""

    text: str = ""
    """The script, `[S1] Hello. [S2] Hello! (laughs)`."""
    out: str = "speech.wav"
    """Audio file to write."""
    ckpt: str = DEFAULT_CHECKPOINT
    """A shipped model, a run, a checkpoint in any layout, or a Hub id."""
    adapter: str = ""
    """Folder of a LoRA adapter, or the run that trained it."""
    seed: int = 0
    """Seed of sampling. Several, `seed=0,1,2`, write one file each: speech_seed0.wav and so on."""
    seeds: list[int] = field(default_factory=list)
    """Several seeds; the command line sets them by `seed=0,1,2`."""
    max_seconds: float = 0.0
    """Longest audio in seconds; 0 is the model's limit."""
    audio_prompt: str = ""
    """Recording of the voice to continue; the text must begin with its transcript."""
    voice: str = ""
    """A file that `Dia.make_voice(...).save(path)` wrote, with the recording and its transcript. The text may
    then have any length."""
    speed: float = 1.0
    """Speed of the speech, at the same pitch."""
    retries: int = 0
    """How often a failed take (no end, too fast, silence, loops, a cut-off end) is generated again."""
    lint: LintLevel = LintLevel.warn
    """What happens with a text that may not be spoken as meant: `warn` says so, `error` refuses it, `off`
    gives it to the model as written."""
    quantization: Quantization | None = None
    """Quantize the weights; null does not."""
    codec: CodecConfig = field(default_factory=lambda: CodecConfig(""))
    """The codec; an empty name takes the checkpoint's."""
    sampling: SamplingOverrides = field(default_factory=SamplingOverrides)
