"""Compute a job with one thread, whatever the number of cores."""

import threading
from collections.abc import Callable
from typing import TypeVar

from threadpoolctl import threadpool_limits

Job = TypeVar("Job")
Result = TypeVar("Result")
# Models and the number of threads belong to the process, and a worker of a foreign Dask cluster may run
# several jobs in one process.
_LOCK = threading.Lock()


def call_with_one_thread(function: Callable[[Job], Result], job: Job) -> Result:
    """Return ``function(job)``, computed with one thread by torch, OpenMP and the BLAS libraries.

    A sum in another number of parts has another rounding, and two workers with a thread for every core would
    compete for the cores.
    """
    import torch

    with _LOCK, threadpool_limits(limits=1):
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return function(job)
        finally:
            torch.set_num_threads(threads)
