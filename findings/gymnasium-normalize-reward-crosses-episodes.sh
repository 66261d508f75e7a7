#!/usr/bin/env bash
# gymnasium 1.4.0, NormalizeReward: the discounted return that it divides by runs on over the ends of episodes.
#
# Expected: rewards are divided by the deviation of the discounted return, and an episode's return begins at 0. So the
#           return of an episode with five rewards of 1 and gamma 1 is 5, in the first and in the thousandth episode.
# Seen:     truncation and reset() leave the sum as it is: after 200 episodes with a time limit of five it is 1,000. The
#           same reward of 1 is normalized to 0.7 at first and to 0.0035 then, and falls on with every episode.
#           Termination does take the sum back, one step too early: the last reward of an episode (-100, say) opens the
#           sum of the next one and is never added to its own. The wrapper for vector environments does the same in its
#           default autoreset mode, NEXT_STEP, and begins each episode at 0 in SAME_STEP.
# Matters:  tasks that end by a time limit alone (HalfCheetah, Pendulum, Swimmer) with a discount near 1, and tasks that
#           pay at their end (LunarLander). The learning rate that fits depends on the number of episodes so far.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet gymnasium==1.4.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import NormalizeReward, TimeLimit
from gymnasium.wrappers.vector import NormalizeReward as NormalizeRewards

STEPS = 5


class Pays(gymnasium.Env):
    """Pays 1 a step; at the fifth, if it ends by itself, -100."""

    observation_space = gymnasium.spaces.Box(0, 1, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, ends=False):
        self.ends, self.t = ends, 0

    def reset(self, *, seed=None, options=None):
        self.t = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.t += 1
        last = self.ends and self.t == STEPS
        return np.zeros(1, np.float32), -100.0 if last else 1.0, last, False, {}


def episode(env):
    """Play one; return the sum after each step, and the last normalized reward."""
    env.reset()
    sums, over = [], False
    while not over:
        _, reward, terminated, truncated, _ = env.step(0)
        sums.append(float(np.ravel(env.discounted_reward)[0]))
        over = terminated or truncated
    return sums, float(np.ravel(reward)[0])


env = NormalizeReward(TimeLimit(Pays(), STEPS), gamma=1.0)
first, scaled = episode(env)
for _ in range(198):
    episode(env)
last, scaled_later = episode(env)
print("sums of the first truncated episode:", first, "reward 1 became", round(scaled, 4))
print("sums of the 200th truncated episode:", last, "reward 1 became", round(scaled_later, 4))
assert first[-1] == STEPS and last[-1] == 200 * STEPS, "each should be 5"
assert scaled > 0.3 and scaled_later < 0.01

env = NormalizeReward(Pays(ends=True), gamma=1.0)
episode(env)
sums, _ = episode(env)
print("sums of a terminated episode that pays 1, 1, 1, 1, -100:", sums)
assert sums == [-99.0, -98.0, -97.0, -96.0, -100.0], "should be 1, 2, 3, 4, -96"

for mode, expected in ((AutoresetMode.NEXT_STEP, 5.0 * 9 + 4), (AutoresetMode.SAME_STEP, 4.0)):
    several = NormalizeRewards(SyncVectorEnv([lambda: TimeLimit(Pays(), STEPS)], autoreset_mode=mode), gamma=1.0)
    several.reset()
    ends = 0
    while ends < 9:
        ends += int(several.step(np.zeros(1, np.int64))[3][0])
    for _ in range(STEPS if mode is AutoresetMode.NEXT_STEP else STEPS - 1):
        several.step(np.zeros(1, np.int64))
    found = float(several.accumulated_reward[0])
    print(f"vector wrapper, {mode.name}: sum after four steps of the tenth truncated episode: {found}")
    assert found == expected, "should be 4"
print("as stated")
PY
