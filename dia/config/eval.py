"""Keys of `python -m dia.eval`."""

from dataclasses import dataclass, field

from dia.config.choices import Quantization
from dia.config.codec import CodecConfig
from dia.config.data import DataConfig
from dia.config.engine import EngineConfig
from dia.config.judges import JudgesConfig
from dia.config.sampling import SamplingOverrides


@dataclass
class EvalConfig:
    """Everything that `python -m dia.eval` reads."""

    ckpt: str = ""
    """A run, a checkpoint in any layout, or a Hub id; empty scores only recorded systems."""
    baseline: str = ""
    """Another checkpoint that is scored and compared, such as the one that a run started from."""
    systems: list[str] = field(default_factory=list)
    """Recordings of other systems (`python -m dia.eval record`): outputs/SYSTEM/RUN."""
    suite: str = "quick"
    """Suite of prompts and metrics: a name of eval/suites."""
    prompts: int = 0
    """Limit on the prompts of each suite; 0 takes as many as the suite declares."""
    seeds: int = 0
    """Takes of each prompt; 0 takes as many as the suite declares."""
    out: str = ""
    """Folder of the report; empty puts it into the run folder, or under `outputs` by the checkpoint's name.
    """
    cache: str = "outputs/.cache"
    """Folder of cached takes and measurements."""
    judges: JudgesConfig = field(default_factory=JudgesConfig)
    timing: bool = True
    """Measure the checkpoint's speed on a few prompts, one at a time (timing.json)."""
    metrics: list[str] = field(default_factory=list)
    """Metrics that are measured (`metrics=[wer,mos]`), or left out (`metrics=-second_wer`); empty measures
    all."""
    calibration: str = ""
    """File that `python -m dia.eval calibrate` wrote: its thresholds of the nonverbal detector replace those
    of the data."""
    voice: str = ""
    """A file that `Dia.make_voice(...).save(path)` wrote, for scripts longer than the model's limit; empty
    takes a voice of the data."""
    data: DataConfig = field(default_factory=DataConfig)
    codec: CodecConfig = field(default_factory=lambda: CodecConfig(""))
    """The codec; an empty name takes the checkpoint's."""
    quantization: Quantization | None = None
    """Quantize the weights; null does not."""
    sampling: SamplingOverrides = field(default_factory=SamplingOverrides)
    engine: EngineConfig = field(default_factory=EngineConfig)


@dataclass
class CompareConfig(EvalConfig):
    """Everything that `python -m dia.eval compare` reads."""

    folders: list[str] = field(default_factory=list)
    """Recordings (outputs/SYSTEM/RUN) and at most two checkpoints; words without `=` on the command line."""
    suite: str = ""
    """Suite of prompts and metrics; empty takes that of the recordings, or `quick`."""
    out: str = ""
    """Folder of the files of an evaluation; empty prints only."""
    timing: bool = False
    """Measure the checkpoint's speed as well."""
