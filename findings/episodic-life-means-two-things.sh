#!/usr/bin/env bash
# ale-py 0.12.1 and envpool 1.2.5: `episodic_life=True` of their vector environments means two different games.
#
# Expected: one option of one name, in two interfaces that share nearly all others (frameskip, noop_max,
#           use_fire_reset, reward_clipping ...), ends an episode with each life, and the game goes on with the next.
# Seen:     in envpool the game goes on: Breakout is played equally with each of its five lives. In ale-py the game
#           begins anew at every lost life: a learner never sees a game with fewer than four lives, and its points per
#           episode are those of a first life. `terminal_on_life_loss` of gymnasium's AtariPreprocessing does as ale-py.
# Cause:    ale-py takes the end of the episode for the end of the game. Its pull request 611 says that this is meant,
#           and that `life_loss_info` is the option that goes on; its docstring says neither.
# Matters:  scores of Atari by the recipe of Mnih et al. (2015), and by every library that wraps environments as
#           OpenAI baselines did, are of games that go on. States of later lives (few bricks left) are never trained on.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet ale-py==0.12.1 envpool==1.2.5 gymnasium==1.4.0 numpy==2.4.6 \
  opencv-python-headless==5.0.0.93
"$folder/venv/bin/python" -W ignore - <<'PY'
from collections import Counter

import ale_py
import envpool
import gymnasium
import numpy as np
from ale_py.vector_env import AtariVectorEnv

STEPS = 2_000
gymnasium.register_envs(ale_py)


def played(env):
    """Return how many of the steps, all without an action, were made with how many lives left."""
    env.reset(seed=1)
    lives = Counter()
    for _ in range(STEPS):
        info = env.step(np.zeros(1, dtype=int))[4]
        lives[int(info["lives"][0])] += 1
    return dict(sorted(lives.items(), reverse=True))


def wrapped():
    """Return the same of gymnasium's wrapper, which has to fire for itself."""
    env = gymnasium.make("ALE/Breakout-v5", frameskip=1, repeat_action_probability=0.0)
    env = gymnasium.wrappers.AtariPreprocessing(env, terminal_on_life_loss=True)
    env.reset(seed=1)
    lives = Counter()
    for step in range(STEPS):
        *_, terminated, truncated, info = env.step(1 if step % 4 == 0 else 0)
        lives[info["lives"]] += 1
        if terminated or truncated:
            env.reset()
    return dict(sorted(lives.items(), reverse=True))


pool = envpool.make("Breakout-v5", env_type="gymnasium", num_envs=1, seed=1, use_fire_reset=True, episodic_life=True)
seen = {
    "envpool, episodic_life": played(pool),
    "ale-py, episodic_life": played(AtariVectorEnv("breakout", 1, use_fire_reset=True, episodic_life=True)),
    "gymnasium, terminal_on_life_loss": wrapped(),
}
for name, lives in seen.items():
    print(f"{name}: steps by lives left {lives}")
whole = seen.pop("envpool, episodic_life")
assert all(whole.get(left, 0) > STEPS / 10 for left in (5, 4, 3, 2, 1)), "envpool has changed"
for name, lives in seen.items():
    assert set(lives) == {5, 4} and lives[5] > 0.9 * STEPS, f"{name} has changed"
PY
