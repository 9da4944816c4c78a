"""Keys of `python -m dia.serve`."""

from dataclasses import dataclass, field

from dia.config.checks import not_positive
from dia.config.choices import Quantization
from dia.config.codec import CodecConfig
from dia.resources import DEFAULT_CHECKPOINT


@dataclass
class ServeConfig:
    """Everything that `python -m dia.serve` reads."""

    ckpt: str = DEFAULT_CHECKPOINT
    """A shipped model, a run, a checkpoint in any layout, or a Hub id."""
    adapter: str = ""
    """Folder of a LoRA adapter, or the run that trained it."""
    quantization: Quantization | None = None
    """Quantize the weights; null does not."""
    codec: CodecConfig = field(default_factory=lambda: CodecConfig(""))
    """The codec; an empty name takes the checkpoint's."""
    host: str = "127.0.0.1"
    """Address to listen on; `0.0.0.0` is every network of the machine."""
    port: int = 8000
    """Port to listen on; 0 takes a free one."""
    voices: str = "voices"
    """Folder of the voice files that clients can name, and that uploaded voices are saved in."""
    api_key_variable: str = "DIA_API_KEY"
    """Environment variable that holds the key that clients must send; where it is unset they need none."""
    capacity: int = 8
    """Requests that are generated at a time, as one batch; further ones wait."""
    waiting: int = 32
    """Requests that may wait; more are answered with 429."""
    deadline: float = 300.0
    """Seconds after which a request that is not finished is given up."""
    max_text: int = 50_000
    """Longest text in bytes."""
    max_upload: float = 25.0
    """Largest uploaded recording in megabytes."""
    pages: list[str] = field(default_factory=list)
    """Reports and listening tests (HTML files) that the page links to; whoever reaches the server can read
    them, with or without a key."""
    compile: bool = False
    """Compile the decoder step; the first requests then take about a minute."""

    def problems(self) -> list[str]:
        """Return which values are out of range, one sentence per problem."""
        names = ("capacity", "deadline", "max_text", "max_upload")
        problems = not_positive((name, getattr(self, name)) for name in names)
        if self.waiting < 0:
            problems.append(f"waiting={self.waiting} must be 0 or more")
        if not 0 <= self.port < 65_536:
            problems.append(f"port={self.port} must be 0 to 65535")
        if not self.ckpt:
            problems.append("ckpt is empty; name a checkpoint")
        return problems
