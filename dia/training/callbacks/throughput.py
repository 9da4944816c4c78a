"""A callback that logs throughput: frames and hours of audio per time, MFU, padding and memory.

Rates cover the last few optimizer steps, including waits for batches and checkpoints, without validation.
MFU divides the operations of the clips (dia/training/flops.py) by the peak of the device: from its data sheet
if its name is known, else measured once as the rate of a product of large matrices.

Lightning's ThroughputMonitor counts samples of one length; here FLOPs, frames and padding depend on each
clip.

Legend: B clip, T step, S text byte, C codec channel.
"""

import logging
import time
from collections import deque
from dataclasses import dataclass

import lightning as L
import psutil
import torch
from torch import Tensor

from dia.network import DiaConfig
from dia.training.flops import peak_flops, training_flops
from dia.training.objectives import DelayedBatch

WINDOW = 10  # optimizer steps that a rate covers
MATRIX_SIDE = 1024  # of the product that measures a device without a known peak
GIGABYTE = 1e9
PRODUCTS = {
    "bf16-mixed": torch.bfloat16,
    "bf16-true": torch.bfloat16,
    "16-mixed": torch.float16,
    "16-true": torch.float16,
}
logger = logging.getLogger(__name__)


@dataclass
class StepWork:
    """Work of one optimizer step on this process.

    ``frames`` are codec frames, ``steps`` decoder steps without padding, ``padded_steps`` with padding.
    """

    seconds: float = 0.0
    frames: int = 0
    steps: int = 0
    padded_steps: int = 0
    flops: float = 0.0

    def __add__(self, other: "StepWork") -> "StepWork":
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return StepWork(*[a + b for a, b in pairs])


class Throughput(L.Callback):
    """Logs rates whenever the trainer logs. ``frame_rate`` is the codec's, in frames per second.

    ``frozen`` is true if only adapters are trained.
    """

    def __init__(self, config: DiaConfig, frame_rate: float, precision: str, *, frozen: bool = False) -> None:
        self.config, self.frame_rate, self.precision, self.frozen = config, frame_rate, precision, frozen
        self.window: deque[StepWork] = deque(maxlen=WINDOW)
        self.peak = 0.0
        self._batches: list[tuple[Tensor, Tensor, int]] = []
        self._since: float | None = None
        self._seconds = 0.0
        self._last_step = 0

    def on_train_start(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Determine the peak of the device and start the clock."""
        self.peak, origin = device_peak(task.device, self.precision)
        self._since, self._last_step = time.perf_counter(), trainer.global_step
        logger.info("MFU is relative to %.3g TFLOP/s (%s)", self.peak / 1e12, origin)

    def on_validation_start(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Stop the clock until the next batch."""
        if self._since is not None:
            self._seconds += time.perf_counter() - self._since
            self._since = None

    def on_train_batch_start(
        self, trainer: L.Trainer, task: L.LightningModule, batch: DelayedBatch, batch_idx: int
    ) -> None:
        """Start the clock again."""
        self._since = time.perf_counter() if self._since is None else self._since

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        task: L.LightningModule,
        outputs: object,
        batch: DelayedBatch,
        batch_idx: int,
    ) -> None:
        """Record a batch; log after an optimizer step."""
        padded_steps = batch.targets_BTC.shape[0] * batch.targets_BTC.shape[1]
        self._batches.append((*lengths(batch, self.config.decoder.eos), padded_steps))
        if trainer.global_step == self._last_step:
            return
        self._last_step = trainer.global_step
        now = time.perf_counter()
        self.window.append(self._step_work(self._seconds + now - (self._since or now)))
        self._since, self._seconds = now, 0.0
        if trainer.global_step % trainer.log_every_n_steps:  # type: ignore[attr-defined]  # set by its loggers' connector
            return  # logging a metric costs time
        metrics = self.rates(trainer.world_size) | memory(task.device)
        for name, value in metrics.items():
            task.log(name, value, prog_bar=name == "train/frames_per_second")

    def rates(self, world_size: int) -> dict[str, float]:
        """Return the window's metrics by name; all processes are assumed to be as fast as this one."""
        total = sum(self.window, StepWork())
        frames_per_second = world_size * total.frames / total.seconds
        return {
            "train/frames_per_second": frames_per_second,
            "train/audio_hours_per_hour": frames_per_second / self.frame_rate,
            "train/mfu": total.flops / total.seconds / self.peak,
            "train/padding_share": 1 - total.steps / total.padded_steps,
        }

    def _step_work(self, seconds: float) -> StepWork:
        """Return the sum of the recorded batches; this is the only device synchronization."""
        work = StepWork(seconds)
        tail = max(self.config.delays)
        for targets_B, text_B, padded_steps in self._batches:
            targets, sizes = targets_B.tolist(), text_B.tolist()
            clips = [(count + tail, size) for count, size in zip(targets, sizes, strict=True)]
            frames, steps = sum(targets) - len(targets), sum(steps for steps, _ in clips)
            flops = training_flops(self.config, clips, frozen=self.frozen)
            work += StepWork(0.0, frames, steps, padded_steps, flops)
        self._batches.clear()
        return work


def lengths(batch: DelayedBatch, eos: int) -> tuple[Tensor, Tensor]:
    """Return each clip's targets of channel 0, its frames and one EOS (B,), and its text bytes (B,)."""
    is_target_BT = batch.targets_BTC[..., 0] <= eos
    if batch.packing:
        clips = is_target_BT[0].split(batch.packing.steps)
        return torch.stack([clip_T.sum() for clip_T in clips]), torch.tensor(batch.packing.text)
    return is_target_BT.sum(1), batch.text_mask_BS.sum(1)


def memory(device: torch.device) -> dict[str, float]:
    """Return memory in GB: torch's allocated and peak on a GPU, the resident size on a CPU."""
    if device.type == "cuda":
        allocated, peak = torch.cuda.memory_allocated(device), torch.cuda.max_memory_allocated(device)
        return {"train/memory_gb": allocated / GIGABYTE, "train/peak_memory_gb": peak / GIGABYTE}
    return {"train/memory_gb": psutil.Process().memory_info().rss / GIGABYTE}


def device_peak(device: torch.device, precision: str) -> tuple[float, str]:
    """Return a device's peak operations per second in a precision, and the source of the number."""
    dtype = PRODUCTS.get(precision, torch.float32)
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        known = peak_flops(name, product_kind(dtype))
        if known:
            return known, f"data sheet of {name}, {product_kind(dtype)}"
    type_name = str(dtype).removeprefix("torch.")
    origin = f"measured here: product of {MATRIX_SIDE} x {MATRIX_SIDE} matrices in {type_name}"
    return measured_peak(device, dtype), origin


def product_kind(dtype: torch.dtype) -> str:
    """Return the data sheet's name for torch's products of this type on a GPU."""
    if dtype == torch.float32:
        return "fp32" if torch.get_float32_matmul_precision() == "highest" else "tf32"
    return "half"


def measured_peak(device: torch.device, dtype: torch.dtype, repeats: int = 8) -> float:
    """Return operations per second of the fastest of a few matrix products. Draws no random numbers."""
    matrix = torch.ones(MATRIX_SIDE, MATRIX_SIDE, device=device, dtype=dtype)
    durations = []
    for _ in range(repeats):
        started = time.perf_counter()
        float((matrix @ matrix)[0, 0])  # waits for the device
        durations.append(time.perf_counter() - started)
    return 2 * MATRIX_SIDE**3 / min(durations)
