#!/usr/bin/env bash
# sample-factory 2.1.1 (torch 2.13.0, gymnasium 0.29.1): APPO with V-trace trains on one batch and dies.
#
# Expected: --with_vtrace=True --normalize_returns=False trains as without V-trace; the program itself asks for
# unnormalised returns there, and recurrence equal to the rollout.
# Seen: the learner's first summary reads `advantages` of the minibatch, which only the GAE path computes, so the
# trainer ends with AttributeError and exit code 1. The same command without V-trace ends well.
# So a figure of its V-trace cannot be had, and a comparison with IMPALA has to name its clipped loss and GAE instead.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 sample-factory==2.1.1 gymnasium==0.29.1

train() {
  "$folder/venv/bin/python" -W ignore -m sf_examples.train_gym_env --algo=APPO --env=CartPole-v1 --device=cpu \
    --train_dir="$folder" --experiment="$1" --serial_mode=True --async_rl=False --num_workers=1 \
    --num_envs_per_worker=4 --worker_num_splits=1 --rollout=16 --recurrence=16 --batch_size=128 \
    --num_batches_per_epoch=1 --num_epochs=1 --train_for_env_steps=4000 --use_rnn=False --normalize_returns=False \
    --with_wandb=False --with_vtrace="$2" > "$folder/$1.log" 2>&1
}

train gae False && echo "without V-trace: exit code 0"
code=0
train vtrace True || code=$?
echo "with V-trace: exit code $code"
grep -o "AttributeError: .*" "$folder/vtrace.log" | tail -n 1
test "$code" -eq 1
grep -q "AttributeError: 'AttrDict' object has no attribute 'advantages'" "$folder/vtrace.log"
