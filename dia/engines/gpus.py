"""Assign one GPU to each worker of a machine by setting CUDA_VISIBLE_DEVICES before CUDA is initialised.

A worker uses its GPU as `cuda`. If there are more workers than GPUs, they share them.
"""

import os
from typing import Any

VISIBLE = "CUDA_VISIBLE_DEVICES"


def visible_gpus() -> list[str]:
    """Return the GPUs visible to this process, as names for CUDA_VISIBLE_DEVICES."""
    names = os.environ.get(VISIBLE)
    if names is None:
        import torch

        return [str(number) for number in range(torch.cuda.device_count())]
    return [name for name in names.split(",") if name]


def use_gpu(number: int) -> None:
    """Restrict this process to the GPU of worker ``number``; without GPUs nothing changes."""
    if gpus := visible_gpus():
        os.environ[VISIBLE] = gpus[number % len(gpus)]


def use_next_gpu(counter: Any) -> None:
    """Initializer of a process pool: use the GPU of the next number of the shared ``counter``."""
    with counter.get_lock():
        number = counter.value
        counter.value += 1
    use_gpu(number)


def gpu_plugin() -> Any:
    """Return a Dask plugin that assigns a GPU to each worker of a local cluster, named by numbers."""
    from distributed import WorkerPlugin

    class OneGpuEach(WorkerPlugin):
        def setup(self, worker: Any) -> None:
            use_gpu(int(worker.name))

    return OneGpuEach()
