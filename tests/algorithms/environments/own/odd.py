"""Environments that do what they should not; `how` says what, from step `at` of their life on."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

SHAPES: dict[str, Any] = {
    "short": np.zeros(2),
    "one": np.zeros(1),
    "row": np.zeros((1, 3)),
    "words": "not seen",
    "nan": np.full(3, np.nan),
    "huge": np.full(3, 1e39),
}
REWARDS: dict[str, Any] = {
    "no reward": None,
    "reward pair": np.zeros(2),
    "reward words": "much",
    "reward array": np.ones(1),
    "reward huge": 1e300,
    "reward nan": float("nan"),
    "reward numpy": np.float32(1.0),
    "reward int": 1,
    "reward vast": 10**30,
    "reward beyond": 10**400,
}
FLAGS: dict[str, Any] = {
    "flag none": None,
    "flag words": "no",
    "flag numpy": np.bool_(False),
    "flag int": 0,
    "flag pair": np.zeros(2, dtype=np.bool_),
    "flag array": np.zeros(1, dtype=np.bool_),
}


class Odd(gymnasium.Env[Any, Any]):
    """Episodes of `length` steps that pay 1 a step; without `length` they never end."""

    observation_space: spaces.Space[Any] = spaces.Box(-np.inf, np.inf, (3,), np.float64)
    action_space: spaces.Space[Any] = spaces.Discrete(2)

    def __init__(self, how: str = "", at: int = 0, length: int = 20, note: str = "") -> None:
        self.how, self.at, self.length, self.steps = how, at, length, 0
        self.note = Path(note) if note else None
        if how in ("signals", "rude"):
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        if how in ("moves", "rude"):
            os.chdir("/")
        if how == "rude":
            threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
            self.child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
            print("x" * 1000, flush=True)

    @property
    def _acts_up(self) -> bool:
        return self.steps >= self.at

    def _see(self) -> Any:
        return SHAPES.get(self.how, np.zeros(3)) if self._acts_up else np.zeros(3)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.t = 0
        if self.note and seed is not None:
            with self.note.open("a") as file:
                file.write(f"{seed}\n")
        return self._see() if self.how == "reset alone" else (self._see(), {})

    def step(self, action: Any) -> Any:
        self.t, self.steps = self.t + 1, self.steps + 1
        reward, over = 1.0, bool(self.length) and self.t >= self.length
        if not self._acts_up:
            return self._see(), reward, False, over, {}
        if self.how == "exit":
            sys.exit()
        if self.how == "hang":
            time.sleep(600)
        if self.how == "raise":
            raise RuntimeError("the simulator lost its connection")
        if self.how == "four":
            return self._see(), reward, over, {}
        if self.how == "rarely nan" and self.np_random.random() < 0.002:
            return np.full(3, np.nan), reward, False, over, {}
        return self._see(), REWARDS.get(self.how, reward), FLAGS.get(self.how, False), over, {}

    def close(self) -> None:
        if self.note and self.how == "closes":
            with self.note.open("a") as file:
                file.write("closed\n")
        if self.how == "close hangs":
            time.sleep(600)
        if self.how == "close raises":
            raise RuntimeError("already closed")


class Choices(Odd):
    """Choices 3 and 4; only 4 is paid, and no other number is taken."""

    action_space = spaces.Discrete(2, start=np.int64(3))

    def step(self, action: Any) -> Any:
        assert self.action_space.contains(action), f"{action!r} is not in {self.action_space}"
        observation, _, ended, cut, info = super().step(action)
        return observation, float(action == 4), ended, cut, info


class Dose(Odd):
    """A dose within 0..0.1, paid by its size: an episode is worth 2 at most."""

    action_space = spaces.Box(0.0, 0.1, (1,), np.float32)

    def step(self, action: Any) -> Any:
        assert self.action_space.contains(action), f"{action!r} is not in {self.action_space}"
        observation, _, ended, cut, info = super().step(action)
        return observation, float(action[0]), ended, cut, info


class Bandit(Odd):
    """Episodes of one step."""

    def __init__(self) -> None:
        super().__init__(length=1)


class Image(Odd):
    """Pictures."""

    observation_space = spaces.Box(0, 255, (96, 96, 3), np.uint8)

    def _see(self) -> Any:
        return np.zeros((96, 96, 3), np.uint8)


class Wide(Odd):
    """Observations of 100,000 numbers."""

    observation_space = spaces.Box(-1, 1, (100_000,), np.float32)

    def _see(self) -> Any:
        return np.zeros(100_000, np.float32)


def make_short(length: int = 5) -> Odd:
    """A function that makes an environment."""
    return Odd(length=length)


if "Odd-v0" not in gymnasium.registry:  # a test process imports this module by two names
    gymnasium.register("Odd-v0", f"{__name__}:Odd")
