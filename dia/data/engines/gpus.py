"""A GPU for each worker of a machine: what a worker sees is decided before its torch looks.

A worker sees one GPU, and calls it `cuda` as it would its only one. Workers beyond the number of GPUs share
them.
"""

import os
from typing import Any

import torch

VISIBLE = "CUDA_VISIBLE_DEVICES"


def visible_gpus() -> list[str]:
    """Return the GPUs that this process sees, as CUDA is told of them."""
    told = os.environ.get(VISIBLE)
    return (
        [name for name in told.split(",") if name]
        if told is not None
        else [str(n) for n in range(torch.cuda.device_count())]
    )


def use_gpu(number: int) -> None:
    """Let this process see the GPU of worker ``number`` alone; nothing changes where there is none."""
    if gpus := visible_gpus():
        os.environ[VISIBLE] = gpus[number % len(gpus)]


def use_next_gpu(counter: Any) -> None:
    """Take the GPU of the next number: the initializer of a pool's processes, which share the counter."""
    with counter.get_lock():
        number = counter.value
        counter.value += 1
    use_gpu(number)


def gpu_plugin() -> Any:
    """Return a plugin of Dask that gives each worker of a local cluster, whose names are numbers, its GPU."""
    from distributed import WorkerPlugin

    class OneGpuEach(WorkerPlugin):
        def setup(self, worker: Any) -> None:
            use_gpu(int(worker.name))

    return OneGpuEach()
