#!/usr/bin/env bash
# bash tests/cluster/slurm.sh FOLDER     (as root; FOLDER takes SLURM's state, logs and data sets)
# Installs Debian's SLURM, runs it on this one machine, prepares a small corpus through it and compares the data set with that of
# engine=local, byte for byte; then asks for what SLURM refuses, for what never starts, and for more work than a walltime.
# Stops everything it started. Takes about six minutes.
set -euo pipefail
cd "$(dirname "$0")/../.."
mkdir -p "$1"
folder=$(realpath "$1") python=$(realpath -s "${PYTHON:-.venv/bin/python}") host=$(hostname -s) here=$PWD
DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends slurm-wlm munge > /dev/null

mkdir -p "$folder"/{state,spool,log,munge,work}
chmod 700 "$folder/munge"
dd if=/dev/urandom of="$folder/munge/key" bs=1024 count=1 status=none
chmod 400 "$folder/munge/key"
cores=$(nproc --all) megabytes=$(($(awk '/MemTotal/ {print $2}' /proc/meminfo) / 1024 - 512))
cat > "$folder/slurm.conf" <<CONF
ClusterName=dia
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket
CredType=cred/munge
SlurmctldPort=16817
SlurmdPort=16818
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/log/slurmctld
SlurmdLogFile=$folder/log/slurmd
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
InactiveLimit=0
GresTypes=gpu
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cores RealMemory=$megabytes Gres=gpu:1 State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP
PartitionName=asleep Nodes=$host MaxTime=INFINITE State=DOWN
CONF
echo "NodeName=$host Name=gpu File=/dev/null" > "$folder/gres.conf" # a GPU for SLURM's books alone
export SLURM_CONF=$folder/slurm.conf

started=()
stop() {
    for pid in "${started[@]}"; do kill "$pid" 2> /dev/null || true; done
    wait 2> /dev/null || true
}
trap stop EXIT
munged --foreground --force --key-file="$folder/munge/key" --socket="$folder/munge/socket" --pid-file="$folder/munge/pid" \
    --log-file="$folder/log/munged" --seed-file="$folder/munge/seed" &
started+=($!)
for _ in $(seq 50); do [ -S "$folder/munge/socket" ] && break; sleep 0.1; done
slurmctld -D &
started+=($!)
slurmd -D -N "$host" &
started+=($!)
for _ in $(seq 100); do sinfo --noheader --format %T 2> /dev/null | grep -q idle && break; sleep 0.3; done
sinfo

export PYTHONPATH=$here${PYTHONPATH:+:$PYTHONPATH}
cd "$folder/work"
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
refused "PENDING" "${asked[@]}" engine.slurm.queue=asleep engine.patience=0.3
refused "no/such/python" "${asked[@]}" engine.slurm.python=/no/such/python engine.patience=5
echo "what is refused, never starts or dies at once is said, and leaves no job"

"$python" - <<PYTHON
import time

from dia.data.engine import EngineConfig, run_jobs
from dia.data.slurm import SlurmConfig

config = EngineConfig("dask", 1, "slurm", SlurmConfig(memory="1GB", interface="lo"))
assert sorted(run_jobs(config, abs, iter([-1, -2]), gpu=True)) == [1, 2]
print("a worker with a GPU in SLURM's books takes jobs that want one")
config = EngineConfig("dask", 1, "slurm", SlurmConfig(memory="1GB", interface="lo", walltime="00:01:00"))
begun = time.monotonic()
assert len(list(run_jobs(config, time.sleep, iter([4.0] * 25), gpu=False))) == 25
print(f"jobs of a minute did 100 s of work in {time.monotonic() - begun:.0f} s: one that ends is followed by another")
PYTHON
