#!/usr/bin/env bash
# Runs an experiment. exp/<name>/run.sh and test.sh are links to this file: the link's folder names the experiment, its
# name says whether to train or to test. Further KEY VALUE pairs override the experiment's config.yaml.
#
# One machine        bash exp/<name>/run.sh                 all GPUs there are, or one process on the CPU
#                    bash exp/<name>/run.sh NUM_GPUS 2      two processes (GPUs, or CPU workers without any)
# Several nodes      on each node, with the same MASTER_ADDR and MASTER_PORT:
#                    MASTER_ADDR=node0 MASTER_PORT=29400 bash exp/<name>/run.sh NUM_SHARDS 2 SHARD_ID 0   (then 1)
# torchrun           torchrun --nnodes 2 --nproc-per-node 8 ... tools/run_net.py --cfg exp/<name>/config.yaml
# Slurm              sbatch -N 2 --ntasks-per-node 1 --gpus-per-node 8 --signal=B:USR1@120 --requeue exp/<name>/run.sh
#                    SIGUSR1 (or SIGTERM) makes the run finish its step, write a checkpoint and end with code 75;
#                    the job then puts itself back in the queue and goes on from that checkpoint.
#
# Exit codes: 0 done, 1 failed, 2 bad configuration, data or checkpoint, 74 a file cannot be written (full disk),
#             75 interrupted after a checkpoint.
# Environment: PYTHON (interpreter; .venv of the checkout if there is one), OUTPUT_ROOT (results, default output/).
set -uo pipefail

script=${BASH_SOURCE[0]}
if [ -n "${SLURM_JOB_ID:-}" ] && [ "$(basename "$script")" = slurm_script ]; then # sbatch runs a copy elsewhere
    script=$(scontrol show job "$SLURM_JOB_ID" | sed -n 's/^ *Command=\([^ ]*\).*/\1/p')
fi
exp=$(cd "$(dirname "$script")" && pwd) # of the link, not of this file
script=$exp/$(basename "$script")
name=$(basename "$exp")
root=$(cd "$exp/../.." && pwd)
python=${PYTHON:-$([ -x "$root/.venv/bin/python" ] && echo "$root/.venv/bin/python" || echo python3)}

case $(basename "$script") in
    run.sh) pairs=(TRAIN.ENABLE True TEST.ENABLE False) ;;
    test.sh) pairs=(TRAIN.ENABLE False TEST.ENABLE True) ;;
    *) echo "$script: called by a name that is neither run.sh nor test.sh" >&2; exit 2 ;;
esac
pairs+=(NUM_GPUS -1 OUTPUT_DIR "${OUTPUT_ROOT:-$root/output}/$name")
command=("$python" "$root/tools/run_net.py" --cfg "$exp/config.yaml")

if [ -z "${SLURM_JOB_ID:-}" ]; then
    exec "${command[@]}" "${pairs[@]}" "$@"
fi

if [ -n "${SLURM_STEP_ID:-}" ]; then
    exec "${command[@]}" "${pairs[@]}" NUM_SHARDS "$SLURM_NNODES" SHARD_ID "$SLURM_NODEID" "$@"
fi

MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
MASTER_PORT=$((20000 + SLURM_JOB_ID % 20000))
export MASTER_ADDR MASTER_PORT
step='' asked=''
trap 'asked=1; [ -n "$step" ] && kill -USR1 "$step"' USR1 TERM
srun --kill-on-bad-exit=1 bash "$script" "$@" &
step=$!
[ -n "$asked" ] && kill -USR1 "$step" # it came before the step had a number
wait $step
code=$?
while [ "$code" -gt 128 ]; do # a signal ends `wait`, perhaps before the step; its own code is still to be had
    wait $step 2>/dev/null
    next=$?
    if [ "$next" -eq 127 ] || { [ "$next" -eq "$code" ] && ! kill -0 $step 2>/dev/null; }; then break; fi
    code=$next
done
[ "$code" -eq 75 ] && scontrol requeue "$SLURM_JOB_ID"
exit "$code"
