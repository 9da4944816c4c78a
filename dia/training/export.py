"""Export of a trained network: a complete checkpoint in `model/`, and the LoRA adapter in `adapter/`."""

from dataclasses import asdict, dataclass
from pathlib import Path

from torch import Tensor

from dia.checkpoint import CodecReference
from dia.checkpoint.adapter import Base, merge_tensors, save_adapter
from dia.checkpoint.save import save_state
from dia.config.lora import LoraConfig
from dia.config.sampling import Sampling
from dia.network import DiaConfig
from dia.training.lora import adapter_of


@dataclass(frozen=True)
class Exporter:
    """Writes a network into the run ``folder``: `model/` with adapters merged, and `adapter/`.

    ``sampling`` becomes the checkpoint's default. ``base`` is the checkpoint that training started from.
    """

    folder: Path
    codec: CodecReference
    sampling: Sampling
    lora: LoraConfig
    base: Base | None

    def __call__(self, config: DiaConfig, state: dict[str, Tensor]) -> None:
        """Write the unsharded state dict of a network, adapters included. Raises :class:`StorageError`."""
        if self.lora.rank:
            assert self.base is not None, "LoRA needs a checkpoint to start from"
            adapter = adapter_of(state, self.lora, config, self.base)
            save_adapter(adapter, self.folder / "adapter")
            state = merge_tensors(state, adapter.scale)
        save_state(config, state, self.folder / "model", self.codec, asdict(self.sampling))
