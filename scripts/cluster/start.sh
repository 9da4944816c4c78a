# Source this file as root with FOLDER as $1: it installs Debian's SLURM, runs it on this machine until the shell ends, and sets
# `folder`, `python` and `here`. FOLDER receives its state and logs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
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
echo "NodeName=$host Name=gpu File=/dev/null" > "$folder/gres.conf" # a GPU that exists only in SLURM's configuration
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
