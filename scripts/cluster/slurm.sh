#!/usr/bin/env bash
# bash scripts/cluster/slurm.sh FOLDER     (as root; FOLDER takes SLURM's state, logs and data sets)
# Runs SLURM on this one machine (start.sh), prepares a small corpus through it and compares the data set with that of
# engine=local, byte for byte; then asks for what SLURM refuses, for what never starts, and for more work than a walltime.
# Stops everything it started. Takes about six minutes.
source "$(dirname "$0")/start.sh"

prepare=("$python" -m dia.prepare +recipe=demo 'data.demo.clips={train: 12, validation: 2, test: 2}' data.shard_units=2)
slurm=(engine=dask engine.scheduler=slurm engine.slurm.interface=lo engine.slurm.memory=2GB)
"${prepare[@]}" data.root="$folder/local" engine=local engine.workers=1
"${prepare[@]}" data.root="$folder/slurm" "${slurm[@]}" engine.workers=2 engine.slurm.walltime=00:10:00
diff -r "$folder/local" "$folder/slurm" && echo "the data sets are the same, byte for byte"
[ -z "$(squeue --noheader)" ] && echo "no job is left behind"

refused() { # a command that must fail with 2 and say something
    local wanted=$1 code=0
    shift
    "$@" 2> "$folder/log/said" || code=$?
    cat "$folder/log/said"
    [ "$code" = 2 ] && grep -q "$wanted" "$folder/log/said" && ! grep -q Traceback "$folder/log/said"
    [ -z "$(squeue --noheader)" ]
}
asked=("${prepare[@]}" data.root="$folder/refused" "${slurm[@]}")
refused "invalid partition" "${asked[@]}" engine.slurm.queue=nowhere
refused "PENDING" "${asked[@]}" engine.slurm.queue=asleep engine.startup_minutes=0.3
refused "no/such/python" "${asked[@]}" engine.slurm.python=/no/such/python engine.startup_minutes=5
echo "what is refused, never starts or dies at once is said, and leaves no job"

"$python" - <<PYTHON
import time

from dia.data.engines.run import EngineConfig, run_jobs
from dia.data.engines.slurm import SlurmConfig

config = EngineConfig("dask", 1, "slurm", SlurmConfig(memory="1GB", interface="lo"))
assert sorted(run_jobs(config, abs, iter([-1, -2]), gpu=True)) == [1, 2]
print("a worker with a GPU in SLURM's books takes jobs that want one")
config = EngineConfig("dask", 1, "slurm", SlurmConfig(memory="1GB", interface="lo", walltime="00:01:00"))
begun = time.monotonic()
assert len(list(run_jobs(config, time.sleep, iter([4.0] * 25), gpu=False))) == 25
print(f"jobs of a minute did 100 s of work in {time.monotonic() - begun:.0f} s: one that ends is followed by another")
PYTHON
