"""TorchBeast's MonoBeast on MinAtar's Breakout with the layers of small-cnn; needs torch, numpy and MinAtar.

    python monobeast_minatar.py --checkout DIR --steps 100000

DIR is a checkout of github.com/facebookresearch/torchbeast. Its learner, actors, buffers and V-trace run as they are;
the environment and the network are put in their places. Prints one JSON line: steps per second between the first tenth
and the end, counted by its learner's updates.
"""

import argparse
import json
import logging
import os
import sys
import tempfile
import time
from types import ModuleType
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from minatar import Environment
from torch import nn

LIMIT = 5000
CHANNELS, FILTERS, SIDE, UNITS = 4, 16, 8, 128


class Space:
    """Shape and number of choices, all that MonoBeast asks of a space."""

    def __init__(self, shape: tuple[int, ...] = (), n: int = 0) -> None:
        self.shape, self.n = shape, n


class Breakout:
    """The game in the interface that gym had when MonoBeast was written, channels first."""

    def __init__(self) -> None:
        self.game, self.steps = Environment("breakout"), 0
        self.choices = self.game.minimal_action_set()
        self.observation_space, self.action_space = Space((CHANNELS, 10, 10)), Space(n=len(self.choices))

    def seed(self, seed: int) -> None:
        """Seed the game."""
        self.game.seed(seed % 2**31)

    def _seen(self) -> np.ndarray:
        return np.ascontiguousarray(self.game.state().transpose(2, 0, 1), dtype=np.uint8)

    def reset(self) -> np.ndarray:
        """Begin an episode."""
        self.game.reset()
        self.steps = 0
        return self._seen()

    def step(self, action: int) -> tuple[np.ndarray, float, bool, dict[str, Any]]:
        """Take one step."""
        reward, over = self.game.act(self.choices[action])
        self.steps += 1
        return self._seen(), float(reward), bool(over) or self.steps >= LIMIT, {}


class SmallCNN(nn.Module):
    """Convolution of 16 channels, 3x3, a dense layer of 128, and two heads."""

    def __init__(self, shape: tuple[int, ...], choices: int, use_lstm: bool) -> None:
        super().__init__()
        self.num_actions = choices
        self.layers = nn.Sequential(
            nn.Conv2d(shape[0], FILTERS, 3), nn.ReLU(), nn.Flatten(), nn.Linear(FILTERS * SIDE**2, UNITS), nn.ReLU()
        )
        self.policy, self.baseline = nn.Linear(UNITS, choices), nn.Linear(UNITS, 1)

    def initial_state(self, batch_size: int) -> tuple[()]:
        """Return no memory."""
        return ()

    def forward(self, inputs: dict[str, torch.Tensor], core_state: Any = ()) -> tuple[dict[str, torch.Tensor], Any]:
        """Return logits, values and sampled actions of frames [time, batch, ...]."""
        frames = inputs["frame"]
        steps, batch = frames.shape[:2]
        features = self.layers(frames.flatten(0, 1).float())
        logits = self.policy(features)
        action = torch.multinomial(torch.softmax(logits, dim=1), num_samples=1)
        found = {
            "policy_logits": logits.view(steps, batch, -1),
            "baseline": self.baseline(features).view(steps, batch),
            "action": action.view(steps, batch),
        }
        return found, ()


class Clock:
    """Time of each of the learner's updates."""

    def __init__(self, learn: Any, each: int) -> None:
        self.learn, self.each, self.times = learn, each, [time.perf_counter()]

    def __call__(self, *values: Any, **named: Any) -> Any:
        """Learn, and note when it was over."""
        found = self.learn(*values, **named)
        self.times.append(time.perf_counter())
        return found

    def rate(self, steps: int) -> float:
        """Return steps per second after the first tenth."""
        first = max(1, steps // 10 // self.each)
        return (len(self.times) - 1 - first) * self.each / (self.times[-1] - self.times[first])


def main() -> None:
    """Train once."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--checkout", required=True)
    parser.add_argument("--actors", type=int, default=4)
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    torch.manual_seed(asked.seed)
    sys.path.insert(0, asked.checkout)
    # MonoBeast's wrappers of Atari need gym and OpenCV, and are not used here.
    sys.modules["torchbeast.atari_wrappers"] = ModuleType("torchbeast.atari_wrappers")
    with tempfile.TemporaryDirectory() as folder:
        rate = train(folder, asked)
    print(json.dumps({"steps_per_second": rate}), flush=True)


def train(folder: str, asked: argparse.Namespace) -> float:
    """Return the rate of one run: fragments of 20 steps, batches of 640, RMSprop."""
    from torchbeast import monobeast

    logging.getLogger().setLevel(logging.WARNING)
    logging.getLogger("logfile").setLevel(logging.ERROR)
    words = {
        "total_steps": asked.steps, "num_actors": asked.actors, "batch_size": 32, "unroll_length": 20,
        "num_buffers": 64, "num_learner_threads": 1, "savedir": folder, "learning_rate": 1e-3, "entropy_cost": 0.01,
    }  # fmt: skip
    flags = monobeast.parser.parse_args([f"--{name}={value}" for name, value in words.items()] + ["--disable_cuda"])
    monobeast.Net, monobeast.create_env = SmallCNN, lambda flags: Breakout()
    clock = Clock(monobeast.learn, flags.batch_size * flags.unroll_length)
    monobeast.learn = clock
    monobeast.train(flags)
    return clock.rate(asked.steps)


if __name__ == "__main__":
    main()
