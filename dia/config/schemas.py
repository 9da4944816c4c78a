"""The keys of the front doors that open a checkpoint: generate and eval."""

from dataclasses import dataclass, field

from dia.config.judges import JudgesConfig
from dia.data.prepare import DataConfig


@dataclass
class CodecConfig:
    """The codec: a shipped name (`codec_nano`), a DAC model by name (`dac_44khz`), a `.pth` file or a
    folder.
    """

    name: str = "codec_nano"


@dataclass
class SamplingOverrides:
    """Sampling values that replace the checkpoint's own; null leaves its own."""

    cfg_scale: float | None = None
    temperature: float | None = None
    top_p: float | None = None
    cfg_filter_top_k: int | None = None
    cfg_final: float | None = None
    cfg_steps: int | None = None
    cfg_rescale: float | None = None
    draw_guided: bool | None = None


@dataclass
class EvalConfig:
    """Everything `python -m dia.eval` reads."""

    ckpt: str = ""
    """A run, a checkpoint in any layout, or a Hub id; empty scores recorded systems only."""
    before: str = ""
    """Another checkpoint that is scored beside it, such as the one that a run began from."""
    systems: list[str] = field(default_factory=list)
    """Recordings of other systems (`python -m dia.eval record`): outputs/SYSTEM/RUN."""
    suite: str = "quick"
    prompts: int = 0
    """No more prompts of each suite than this; 0 is what the suite says."""
    seeds: int = 0
    """Takes of each prompt; 0 is what the suite says."""
    out: str = ""
    """Folder of the report; empty puts it into the run folder or beside the checkpoint's name under
    `outputs`.
    """
    cache: str = "outputs/.kept"
    """Folder of what was spoken and measured before."""
    judges: JudgesConfig = field(default_factory=JudgesConfig)
    timing: bool = True
    """Whether the checkpoint is timed on a few prompts, one at a time (timing.json)."""
    calibration: str = ""
    """What `python -m dia.eval calibrate` wrote, to be shown in the report."""
    voice: str = ""
    """A file that `Dia.make_voice(...).save(path)` wrote, for scripts longer than the model; empty takes one
    of the data.
    """
    data: DataConfig = field(default_factory=DataConfig)
    codec: CodecConfig = field(default_factory=lambda: CodecConfig(""))
    """Empty name: the codec that the checkpoint names."""
    quantization: str | None = None
    """Null, `int8` or `int4`."""
    sampling: SamplingOverrides = field(default_factory=SamplingOverrides)


@dataclass
class GenerateConfig:
    """Everything `python -m dia.generate` reads."""

    text: str = ""
    out: str = "speech.wav"
    ckpt: str = "dia_nano"
    adapter: str = ""
    """Folder of what LoRA learned on the checkpoint, or the run that learned it."""
    seed: int = 0
    max_seconds: float = 0.0
    """Longest sound; 0 is all the model can do."""
    audio_prompt: str = ""
    """A recording of the voice; its transcript must begin the text."""
    voice: str = ""
    """A file that `Dia.make_voice(...).save(path)` wrote; it brings its transcript. With one the text may be
    of any length.
    """
    speed: float = 1.0
    """Pace, at the same pitch."""
    retries: int = 0
    """How often what fails (no end, hurry, silence, loops, a cut-off end) is spoken again."""
    quantization: str | None = None
    """Null, `int8` or `int4`."""
    codec: CodecConfig = field(default_factory=lambda: CodecConfig(""))
    """Empty name: the codec that the checkpoint names."""
    sampling: SamplingOverrides = field(default_factory=SamplingOverrides)
