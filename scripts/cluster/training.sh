#!/usr/bin/env bash
# bash scripts/cluster/training.sh FOLDER     (as root; FOLDER receives SLURM's state, logs and runs)
# Run SLURM on this machine (start.sh) and train a tiny network with recipes/slurm.sbatch, two processes of `srun` on CPUs:
# once without interruption, once with SLURM's signal before the time limit, once requeued without a signal. Interrupted jobs
# are requeued, resume, and must end in identical weights, byte for byte. Takes about eight minutes.
source "$(dirname "$0")/start.sh"

"$python" -c "from pathlib import Path; from tests.training.whole_runs import make_noise; make_noise(Path())"
mapfile -t tiny < <("$python" -c "from tests.training.whole_runs import TINY_RUN; print('\n'.join(TINY_RUN))")
export PYTHON=$python
submit() { # strategy, name: print the job id
    sbatch --parsable --nodes=1 --ntasks-per-node=2 --gpus-per-node=1 --cpus-per-task=1 --time=00:20:00 --signal=USR1@60 \
        --export=ALL "$here/recipes/slurm.sbatch" "${tiny[@]}" trainer.steps=400 trainer.checkpoint_every=20 \
        trainer.validate_every=100 trainer.accelerator=cpu trainer.strategy="$1" run_name="$2"
}
await() { # wait until a job has left the queue; a requeued job stays in it
    while squeue --noheader --jobs="$1" 2> /dev/null | grep -q .; do sleep 1; done
}
await_checkpoint() { # wait until a run has a checkpoint; it must not end before
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
    job=$(submit $strategy $strategy-signalled)
    await_checkpoint "$job" $strategy-signalled
    scancel --signal=USR1 "$job" # as SLURM does --signal seconds before the end
    await "$job"
    same $strategy $strategy-signalled
    [ "$(scontrol show job "$job" | grep -o 'Restarts=[0-9]*')" = Restarts=1 ]
    echo "$strategy: a job with the signal of its time limit saved, was requeued, and ended in identical weights"
    job=$(submit $strategy $strategy-requeued)
    await_checkpoint "$job" $strategy-requeued
    scontrol requeue "$job" # as SLURM does when a node fails
    await "$job"
    same $strategy $strategy-requeued
    echo "$strategy: a job requeued without a signal resumed from its last checkpoint, and ended in identical weights"
done
