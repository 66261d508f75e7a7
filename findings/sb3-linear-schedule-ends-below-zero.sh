#!/usr/bin/env bash
# stable-baselines3 2.9.2 (torch 2.13.0), PPO: a linear schedule ends with an update of negative learning rate.
#
# Expected: `progress_remaining`, by which a schedule computes the learning rate, falls from 1 to 0. The documentation says
#           so, and its example of a linear schedule multiplies the first learning rate by it. The last update is a small one.
# Seen:     `learn` collects whole rollouts, so more steps than `total_timesteps` where that is no multiple of a rollout, and
#           `progress_remaining` falls on below 0: to -0.23 after 6,144 steps for 5,000. No one refuses a learning rate of
#           that sign, and all epochs of the last update go up the gradient. The value loss of their rollout rises, from 91
#           to 371 here, where each update before it lowered its own. That is the policy which is then saved.
# Matters:  the documentation's example ends so itself (20,480 steps for 20,000: -0.024 times the first rate), and more
#           environments make it worse: eight of them, the default n_steps of 2,048 and 100,000 steps in all give -0.15.
#           There is no warning; train/learning_rate in the log is negative. max(progress_remaining, 0) helps, and so does
#           the library's own LinearSchedule, which stays at its end.
# Known:    issue 366 (2021) asked for the exact number of steps. None was found on what the rest does to a schedule.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet stable-baselines3==2.9.2 torch==2.13.0 gymnasium==1.4.0 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - <<'PY'
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.utils import LinearSchedule

torch.set_num_threads(1)
FIRST, TOTAL = 1e-3, 5000


class Noted(PPO):
    """Note each update's learning rate, and the value loss of its rollout before and after."""

    def train(self):
        observations = torch.as_tensor(self.rollout_buffer.observations.copy()).flatten(0, 1)
        returns = torch.as_tensor(self.rollout_buffer.returns.copy()).flatten()
        before = self.loss(observations, returns)
        super().train()
        rate = self.policy.optimizer.param_groups[0]["lr"]
        self.updates.append((self._current_progress_remaining, rate, before, self.loss(observations, returns)))

    def loss(self, observations, returns):
        with torch.no_grad():
            values = self.policy.predict_values(observations).flatten()
        return float(torch.mean((values - returns) ** 2))


def last(name, schedule):
    env = make_vec_env("CartPole-v1", 8, seed=1)
    model = Noted("MlpPolicy", env, n_steps=256, learning_rate=schedule, seed=1, device="cpu")
    model.updates = []
    model.learn(TOTAL)
    for progress, rate, before, after in model.updates:
        print(f"{name}: progress {progress:5.2f}, learning rate {rate:9.2e}, value loss {before:6.1f} -> {after:6.1f}")
    return model


model = last("progress_remaining * first", lambda progress_remaining: progress_remaining * FIRST)
held = last("LinearSchedule            ", LinearSchedule(FIRST, 0.0, 1.0))
print("steps:", model.num_timesteps, "for", TOTAL)
*earlier, (_, rate, before, after) = model.updates
fell = all(one[3] < one[2] for one in earlier)
if not (rate < 0 and after > before and fell and held.updates[-1][1] == 0):
    raise SystemExit("the behaviour has changed")
PY
