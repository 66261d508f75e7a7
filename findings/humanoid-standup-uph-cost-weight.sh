#!/usr/bin/env bash
# gymnasium 1.4.0, HumanoidStandup-v5: the documented option `uph_cost_weight` changes nothing.
#
# Expected: the documentation calls it the weight of the upward reward, so 0 should take that term away and 7 should
#           multiply it by seven. Every other weight of the task works like that.
# Seen:     rewards with weights 0, 1 and 7 are equal to the last bit over an episode. The constructor keeps the value
#           and no line of the reward reads it.
# Matters:  a sweep over this weight compares equal tasks, and a curriculum that lowers it does nothing.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet gymnasium==1.4.0 mujoco==3.9.0 numpy==2.4.6 imageio packaging
"$folder/venv/bin/python" - <<'PY'
import gymnasium
import numpy as np


def returns(**options):
    env = gymnasium.make("HumanoidStandup-v5", **options)
    env.reset(seed=1)
    random = np.random.default_rng(1)
    rewards = [float(env.step(random.uniform(-0.4, 0.4, 17).astype(np.float32))[1]) for _ in range(200)]
    env.close()
    return rewards


by_weight = {weight: returns(uph_cost_weight=weight) for weight in (0, 1, 7)}
for weight, rewards in by_weight.items():
    print(f"uph_cost_weight={weight}: sum of 200 rewards {sum(rewards):.6f}")
print(f"ctrl_cost_weight=7: sum of 200 rewards {sum(returns(ctrl_cost_weight=7)):.6f}  (a weight that works)")
assert by_weight[0] == by_weight[1] == by_weight[7], "the weight has an effect now"
assert returns(ctrl_cost_weight=7) != by_weight[1]
print("as stated: the weight has no effect")
PY
