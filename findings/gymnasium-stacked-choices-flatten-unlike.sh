#!/usr/bin/env bash
# gymnasium 1.4.0: stacking frames changes whether a space of choices flattens to one-hot or to raw numbers.
#
# Expected: FrameStackObservation puts frames in front of an observation, and flatten() treats each frame as before.
# Seen: MultiDiscrete([3, 2]) flattens to one-hot, 5 numbers; four frames of it become a Box of integers, which
# flattens to 8 raw numbers instead of 4 x 5. Discrete(3) becomes MultiDiscrete([3, 3, 3, 3]), whose flattening has no
# axis of frames. A network behind flatten() reads other numbers once a stack is added, and nothing says so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet gymnasium==1.4.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import gymnasium
from gymnasium import spaces
from gymnasium.wrappers import FrameStackObservation


class Choices(gymnasium.Env):
    action_space = spaces.Discrete(2)

    def __init__(self, space):
        self.observation_space = space

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observation_space.sample(), {}


seen = {}
for space in spaces.Discrete(3), spaces.MultiDiscrete([3, 2]):
    stacked = FrameStackObservation(Choices(space), 4)
    frames, _ = stacked.reset(seed=1)
    flat = spaces.flatten(stacked.observation_space, frames)
    seen[str(space)] = type(stacked.observation_space).__name__, spaces.flatdim(space), flat.size, int(flat.max())
    print(space, "stacked:", *seen[str(space)])
assert seen["Discrete(3)"][:3] == ("MultiDiscrete", 3, 12)
assert seen["MultiDiscrete([3 2])"][:3] == ("Box", 5, 8)
PYTHON
