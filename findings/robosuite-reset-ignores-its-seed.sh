#!/usr/bin/env bash
# robosuite 1.5.2, GymWrapper: a reset with a seed does not repeat the episode.
#
# Expected: Gymnasium's API promises that a reset with the same seed begins the same episode, whatever was before it.
# Seen:     Lift, Stack, Door and NutAssemblySquare begin elsewhere at every reset with the same seed.
# Cause:    GymWrapper.reset seeds numpy's global generator. Poses of objects, their sizes and the noise of the robot's
#           joints are drawn from `env.rng`, a generator of the environment's own, which no reset seeds.
#           Setting the state of `env.rng` before the reset repeats the episode to the last bit, as shown at the end.
# Matters:  evaluations "from the same seeds" compare other episodes, and no single episode can be repeated.
# Known:    in part. Issue 600 of robosuite is about constructors that refuse a seed; pull request 724 let them take one.
#           It decides all episodes from the first on. No issue was found on the seed that a reset is given.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet robosuite==1.5.2 gymnasium==1.4.0 mujoco==3.9.0 numpy==1.26.4 h5py==3.16.0
"$folder/venv/bin/python" -W ignore - <<'PY'
import logging

import numpy as np

logging.disable(logging.WARNING)
import robosuite
from robosuite.wrappers import GymWrapper


def make(task):
    options = {"robots": "Panda", "has_renderer": False, "has_offscreen_renderer": False, "use_camera_obs": False}
    return GymWrapper(robosuite.make(task, **options))


def begin(env, seed):
    env.unwrapped.rng.bit_generator.state = np.random.default_rng(seed).bit_generator.state
    return env.reset(seed=seed)[0]


for task in ("Lift", "Stack", "Door", "NutAssemblySquare"):
    env, other = make(task), make(task)
    first, second, elsewhere = env.reset(seed=5)[0], env.reset(seed=5)[0], other.reset(seed=5)[0]
    print(f"{task}: two resets of one, seed 5: largest difference of an observation {abs(first - second).max():.3f};")
    print(f"    resets of two environments, seed 5: {abs(first - elsewhere).max():.3f}", flush=True)
    assert not np.array_equal(first, second), f"{task}: a second reset repeats the episode now"
    assert not np.array_equal(first, elsewhere), f"{task}: another environment begins the same episode now"
    assert np.array_equal(begin(env, 5), begin(env, 5)), "the generator is not all that decides"
    assert np.array_equal(begin(env, 5), begin(other, 5)), "the generator is not all that decides"
print("as stated")
PY
