#!/usr/bin/env bash
# bash scripts/cluster/slurm.sh FOLDER     (as root; FOLDER receives SLURM's state, logs and data sets)
# Run SLURM on this machine (start.sh), prepare a small corpus with it and compare the data set byte for byte with that of
# engine=local; then test jobs that SLURM rejects, jobs that never start, and more work than a walltime allows.
# Stops all processes that it starts. Takes about six minutes.
source "$(dirname "$0")/start.sh"

prepare=("$python" -m dia.prepare data=demo 'data.demo.clips={train: 12, validation: 2, test: 2}' data.shard_units=2)
slurm=(engine=dask engine.scheduler=slurm engine.slurm.interface=lo engine.slurm.memory=2GB)
"${prepare[@]}" data.root="$folder/local" engine=local engine.workers=1
"${prepare[@]}" data.root="$folder/slurm" "${slurm[@]}" engine.workers=2 engine.slurm.walltime=00:10:00
diff -r "$folder/local" "$folder/slurm" && echo "the data sets are identical, byte for byte"
[ -z "$(squeue --noheader)" ] && echo "no job remains"

rejected() { # run a command that must fail with exit code 2 and a message
    local message=$1 code=0
    shift
    "$@" 2> "$folder/log/stderr" || code=$?
    cat "$folder/log/stderr"
    [ "$code" = 2 ] && grep -q "$message" "$folder/log/stderr" && ! grep -q Traceback "$folder/log/stderr"
    [ -z "$(squeue --noheader)" ]
}
command=("${prepare[@]}" data.root="$folder/rejected" "${slurm[@]}")
rejected "invalid partition" "${command[@]}" engine.slurm.queue=nowhere
rejected "PENDING" "${command[@]}" engine.slurm.queue=asleep engine.startup_minutes=0.3
rejected "no/such/python" "${command[@]}" engine.slurm.python=/no/such/python engine.startup_minutes=5
echo "rejected jobs, jobs that never start and jobs that fail at once are reported, and no job remains"

"$python" - <<PYTHON
import time

from dia.config.engine import EngineConfig, SlurmConfig
from dia.engines.run import Workers

config = EngineConfig("dask", 1, "slurm", SlurmConfig(memory="1GB", interface="lo"))
with Workers(config, abs, gpu=True) as workers:
    assert sorted(workers.run([-1, -2])) == [1, 2]
print("a worker with a GPU in SLURM's configuration runs jobs that require one")
config = EngineConfig("dask", 1, "slurm", SlurmConfig(memory="1GB", interface="lo", walltime="00:01:00"))
start = time.monotonic()
with Workers(config, time.sleep, gpu=False) as workers:
    assert len(list(workers.run([4.0] * 25))) == 25
print(f"jobs with a walltime of a minute did 100 s of work in {time.monotonic() - start:.0f} s: expired jobs are replaced")
PYTHON
