"""The process of one training run that is measured: ``python -m dia.benchmark.training_worker JOB``; prints
what it found.
"""

import json
import sys
from dataclasses import asdict

import torch

from dia.benchmark.processes import largest_resident_size
from dia.benchmark.training_job import OURS, Trained, TrainingJob


def train(job: TrainingJob) -> Trained:
    """Run a job in this process; only what trains is imported."""
    torch.set_num_threads(job.threads)
    if job.who == OURS:
        from dia.benchmark.training_dia import train_ours

        return train_ours(job)
    from dia.benchmark.training_transformers import train_theirs

    return train_theirs(job)


if __name__ == "__main__":
    found = train(TrainingJob.of(json.loads(sys.argv[1])))
    found.peak = (
        float(torch.cuda.max_memory_allocated()) if torch.cuda.is_available() else largest_resident_size()
    )
    print(json.dumps(asdict(found)))
