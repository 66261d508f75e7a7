"""Sample Factory's APPO on MinAtar's Breakout, one epoch, the layers of small-cnn; run by its own interpreter.

Prints one JSON line: steps per second between the first tenth and the end, as Sample Factory itself counts them.
"""

import argparse
import json
import os
import sys
import tempfile
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import gymnasium
import numpy as np
from minatar import Environment
from sample_factory.algo.runners.runner import AlgoObserver, Runner
from sample_factory.algo.utils.context import global_model_factory
from sample_factory.cfg.arguments import parse_full_cfg, parse_sf_args
from sample_factory.envs.env_utils import register_env
from sample_factory.model.encoder import Encoder
from sample_factory.train import make_runner
from torch import nn

NAME = "minatar_breakout"
LIMIT = 5000


class Breakout(gymnasium.Env):
    """The game, channels first."""

    observation_space = gymnasium.spaces.Box(0, 1, (4, 10, 10), np.float32)
    action_space = gymnasium.spaces.Discrete(3)
    render_mode = None

    def __init__(self) -> None:
        self.game, self.steps = Environment("breakout"), 0
        self.actions = self.game.minimal_action_set()

    def _seen(self) -> np.ndarray:
        return np.ascontiguousarray(self.game.state().transpose(2, 0, 1), dtype=np.float32)

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        """Begin an episode."""
        if seed is not None:
            self.game.seed(seed)
        self.game.reset()
        self.steps = 0
        return self._seen(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict]:
        """Take one step."""
        reward, over = self.game.act(self.actions[int(action)])
        self.steps += 1
        return self._seen(), float(reward), bool(over), self.steps >= LIMIT, {}


def make(name: str, cfg: object, env_config: object, render_mode: str | None = None) -> Breakout:
    """Return a game; a function of the module, since processes receive it by name."""
    return Breakout()


class SmallCNN(Encoder):
    """Convolution of 16 channels, 3x3, and a dense layer of 128."""

    def __init__(self, cfg: object, obs_space: gymnasium.spaces.Dict) -> None:
        super().__init__(cfg)
        self.layers = nn.Sequential(nn.Conv2d(4, 16, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 8 * 8, 128), nn.ReLU())

    def forward(self, obs_dict: dict) -> object:
        """Return the features [n, 128]."""
        return self.layers(obs_dict["obs"])

    def get_out_size(self) -> int:
        """Return the number of features."""
        return 128


class Clock(AlgoObserver):
    """Notes when the first tenth was over, and returns of episodes."""

    def __init__(self, warm: int) -> None:
        self.warm, self.began, self.first = warm, 0.0, 0

    def on_training_step(self, runner: Runner, training_iteration_since_resume: int) -> None:
        """Called by the runner about every update."""
        steps = sum(runner.env_steps.values())
        if not self.began and steps >= self.warm:
            self.began, self.first = time.perf_counter(), steps


def main() -> None:
    """Train once with two workers of 16 environments."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    register_env(NAME, make)
    global_model_factory().register_encoder_factory(SmallCNN)
    words = {
        "env": NAME,
        "algo": "APPO",
        "device": "cpu",
        "num_workers": 2,
        "num_envs_per_worker": 16,
        "rollout": 20,
        "batch_size": 640,
        "num_batches_per_epoch": 1,
        "num_epochs": 1,
        # With V-trace the learner of 2.1.1 dies in its first summary, which wants advantages that V-trace does not
        # keep, and the other processes wait for it without end.
        "with_vtrace": False,
        "use_rnn": False,
        "recurrence": 1,
        "normalize_input": False,
        "normalize_returns": False,
        "train_for_env_steps": args.steps,
        "seed": args.seed,
        "train_dir": tempfile.mkdtemp(),
        "experiment": "peer",
    }
    parser, _ = parse_sf_args([f"--{name}={value}" for name, value in words.items()])
    config = parse_full_cfg(parser, [f"--{name}={value}" for name, value in words.items()])
    _, runner = make_runner(config)
    clock, start = Clock(args.steps // 10), time.perf_counter()
    runner.register_observer(clock)
    runner.init()
    runner.run()
    steps, now = sum(runner.env_steps.values()), time.perf_counter()
    result = {
        "steps_per_second": (steps - clock.first) / (now - clock.began),
        "seconds": now - start,
        "steps": steps,
        "episode_return": None,
    }
    print(json.dumps(result), flush=True)
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
