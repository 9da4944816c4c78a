"""How fast training goes, beside the figures of the task: frames, hours of sound, MFU, padding, memory.

Rates are of the last few optimizer steps, waits for batches and checkpoints included, validation left out.
MFU sets the operations of the clips themselves (dia/training/flops.py) against what the device can do: by its
data sheet where its name is known, else by what a product of large matrices reaches here, which is measured
once and said.

Legend: B clip, T step, S text byte, C codec channel.
"""

import time
from collections import deque
from dataclasses import dataclass

import lightning as L
import psutil
import torch
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from dia.network import DiaConfig
from dia.training.flops import peak_flops, training_flops
from dia.training.objectives import DelayedBatch

WINDOW = 10  # optimizer steps that a rate is of
SIDE = 1024  # of the matrices that are multiplied where nobody wrote down what a device can do
GIGABYTE = 1e9
PRODUCTS = {
    "bf16-mixed": torch.bfloat16,
    "bf16-true": torch.bfloat16,
    "16-mixed": torch.float16,
    "16-true": torch.float16,
}


@dataclass
class Step:
    """What an optimizer step of this process held: codec frames, decoder steps with and without padding,
    operations.
    """

    seconds: float = 0.0
    frames: int = 0
    steps: int = 0
    room: int = 0
    flops: float = 0.0

    def __add__(self, other: "Step") -> "Step":
        return Step(*[a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)])


class Throughput(L.Callback):
    """Logs rates as often as the trainer logs. ``frame_rate`` are the codec's frames a second; ``frozen``
    says that only adapters are trained.
    """

    def __init__(self, config: DiaConfig, frame_rate: float, precision: str, frozen: bool = False) -> None:
        self.config, self.frame_rate, self.precision, self.frozen = config, frame_rate, precision, frozen
        self.window: deque[Step] = deque(maxlen=WINDOW)
        self.peak = 0.0
        self._batches: list[tuple[Tensor, Tensor, int]] = []
        self._since: float | None = None
        self._spent, self._steps_done = 0.0, 0

    def on_train_start(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Find out what the device can do."""
        self.peak, origin = device_peak(task.device, self.precision)
        self._since, self._steps_done = time.perf_counter(), trainer.global_step
        rank_zero_info(f"MFU is of {self.peak / 1e12:.3g} TFLOP/s: {origin}")

    def on_validation_start(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Stop the clock until the next batch."""
        if self._since is not None:
            self._spent += time.perf_counter() - self._since
            self._since = None

    def on_train_batch_start(
        self, trainer: L.Trainer, task: L.LightningModule, batch: DelayedBatch, batch_idx: int
    ) -> None:
        """Go on with the clock."""
        self._since = time.perf_counter() if self._since is None else self._since

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        task: L.LightningModule,
        outputs: object,
        batch: DelayedBatch,
        batch_idx: int,
    ) -> None:
        """Take a batch; when the optimizer has stepped, log."""
        self._batches.append(
            (
                *lengths(batch, self.config.decoder.eos),
                batch.targets_BTC.shape[0] * batch.targets_BTC.shape[1],
            )
        )
        if trainer.global_step == self._steps_done:
            return
        self._steps_done = trainer.global_step
        now = time.perf_counter()
        self.window.append(self._step(self._spent + now - (self._since or now)))
        self._since, self._spent = now, 0.0
        if trainer.global_step % trainer.log_every_n_steps:  # type: ignore[attr-defined]  # Lightning sets it, and does not say so
            return  # Lightning takes its time with each figure
        rates = self.rates(trainer.world_size)
        shown = "train/frames_per_second"
        task.log(shown, rates.pop(shown), prog_bar=True)
        task.log_dict(rates | memory(task.device))

    def rates(self, world_size: int) -> dict[str, float]:
        """Return the figures of the window by name; frames and hours are of all processes, taken to be like
        this one.
        """
        total = sum(self.window, Step())
        frames = world_size * total.frames / total.seconds
        return {
            "train/frames_per_second": frames,
            "train/audio_hours_per_hour": frames / self.frame_rate,
            "train/mfu": total.flops / total.seconds / self.peak,
            "train/padding_share": 1 - total.steps / total.room,
        }

    def _step(self, seconds: float) -> Step:
        """The batches taken since the last step, as one; the only wait for the device."""
        made = Step(seconds)
        tail = max(self.config.delays)
        for asked_B, text_B, room in self._batches:
            asked, sizes = asked_B.tolist(), text_B.tolist()
            clips = [(count + tail, size) for count, size in zip(asked, sizes, strict=True)]
            frames, steps = sum(asked) - len(asked), sum(steps for steps, _ in clips)
            made += Step(0.0, frames, steps, room, training_flops(self.config, clips, self.frozen))
        self._batches.clear()
        return made


def lengths(batch: DelayedBatch, eos: int) -> tuple[Tensor, Tensor]:
    """Return what each clip asks of channel 0, its frames and an EOS (B,), and its text bytes (B,)."""
    return (batch.targets_BTC[..., 0] <= eos).sum(1), batch.text_mask_BS.sum(1)


def memory(device: torch.device) -> dict[str, float]:
    """Return memory in GB: what torch has allocated and had at most on a GPU, the resident size of the
    process on a CPU.
    """
    if device.type == "cuda":
        allocated, most = torch.cuda.memory_allocated(device), torch.cuda.max_memory_allocated(device)
        return {"train/memory_gb": allocated / GIGABYTE, "train/peak_memory_gb": most / GIGABYTE}
    return {"train/memory_gb": psutil.Process().memory_info().rss / GIGABYTE}


def device_peak(device: torch.device, precision: str) -> tuple[float, str]:
    """Return the operations a second that a device can do in the products of a precision, and where that
    figure comes from.
    """
    dtype = PRODUCTS.get(precision, torch.float32)
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        known = peak_flops(name, product_kind(dtype))
        if known:
            return known, f"data sheet of {name}, {product_kind(dtype)}"
    return measured_peak(
        device, dtype
    ), f"measured here, a product of {SIDE} x {SIDE} matrices in {dtype}".replace("torch.", "")


def product_kind(dtype: torch.dtype) -> str:
    """Return the data sheet's name of the products that torch makes of this type on a GPU."""
    if dtype == torch.float32:
        return "fp32" if torch.get_float32_matmul_precision() == "highest" else "tf32"
    return "half"


def measured_peak(device: torch.device, dtype: torch.dtype, times: int = 8) -> float:
    """Return the operations a second of a product of square matrices: the best of a few. Draws no random
    numbers.
    """
    matrix = torch.ones(SIDE, SIDE, device=device, dtype=dtype)
    found = []
    for _ in range(times):
        begun = time.perf_counter()
        float((matrix @ matrix)[0, 0])  # waits for the device
        found.append(time.perf_counter() - begun)
    return 2 * SIDE**3 / min(found)
