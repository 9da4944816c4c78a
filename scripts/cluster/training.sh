#!/usr/bin/env bash
# bash scripts/cluster/training.sh FOLDER     (as root; FOLDER takes SLURM's state, logs and runs)
# Runs SLURM on this one machine (start.sh) and trains a tiny network through recipes/slurm.sbatch, two processes of `srun` on
# CPUs: once without a break, once told that its time is over, once taken away without a word; the broken ones are queued again
# by themselves, go on, and must end in the same weights, byte for byte. Takes about eight minutes.
source "$(dirname "$0")/start.sh"

"$python" -c "from pathlib import Path; from tests.training.whole_runs import make_noise; make_noise(Path())"
mapfile -t tiny < <("$python" -c "from tests.training.whole_runs import TINY_RUN; print('\n'.join(TINY_RUN))")
export PYTHON=$python
submit() { # strategy, name: the job's number
    sbatch --parsable --nodes=1 --ntasks-per-node=2 --gpus-per-node=1 --cpus-per-task=1 --time=00:20:00 --signal=USR1@60 \
        --export=ALL "$here/recipes/slurm.sbatch" "${tiny[@]}" trainer.steps=400 trainer.checkpoint_every=20 \
        trainer.validate_every=100 trainer.accelerator=cpu trainer.strategy="$1" run_name="$2"
}
await() { # until a job has left the queue: one that is queued again stays in it
    while squeue --noheader --jobs="$1" 2> /dev/null | grep -q .; do sleep 1; done
}
under_way() { # until a run has saved; it must not end before
    until [ "$(find "runs/$2/checkpoints" -maxdepth 1 -name 'step-*' 2> /dev/null | wc -l)" -gt 0 ]; do
        squeue --noheader --jobs="$1" | grep -q . || { tail -n 20 "dia-$1.log"; exit 1; }
        sleep 0.5
    done
    sleep 3
}
same() {
    cmp "runs/$1/model/model.safetensors" "runs/$2/model/model.safetensors"
}

for strategy in ddp fsdp2; do
    await "$(submit $strategy $strategy)"
    job=$(submit $strategy $strategy-told)
    under_way "$job" $strategy-told
    scancel --signal=USR1 "$job" # as SLURM does --signal seconds before the end
    await "$job"
    same $strategy $strategy-told
    [ "$(scontrol show job "$job" | grep -o 'Restarts=[0-9]*')" = Restarts=1 ]
    echo "$strategy: a job told that its time is over saved, was queued again, and ended in the same weights"
    job=$(submit $strategy $strategy-lost)
    under_way "$job" $strategy-lost
    scontrol requeue "$job" # as SLURM does when a node fails
    await "$job"
    same $strategy $strategy-lost
    echo "$strategy: a job that was taken away went on from its last checkpoint, and ended in the same weights"
done
