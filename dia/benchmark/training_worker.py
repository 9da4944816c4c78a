"""The process of a measured training run (``python -m dia.benchmark.training_worker JOB``); prints JSON."""

import json
import sys
from dataclasses import asdict

import torch

from dia.benchmark.processes import largest_resident_size
from dia.benchmark.training_job import OURS, TrainingJob, TrainingMeasurement


def train(job: TrainingJob) -> TrainingMeasurement:
    """Run a job in this process; imports only the job's implementation."""
    torch.set_num_threads(job.threads)
    if job.implementation in OURS:
        from dia.benchmark.training_dia import train_dia

        return train_dia(job)
    from dia.benchmark.training_transformers import train_transformers

    return train_transformers(job)


if __name__ == "__main__":
    measurement = train(TrainingJob.from_dict(json.loads(sys.argv[1])))
    measurement.peak = (
        float(torch.cuda.max_memory_allocated()) if torch.cuda.is_available() else largest_resident_size()
    )
    print(json.dumps(asdict(measurement)))
