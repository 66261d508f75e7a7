"""Datasets for tests: random episodes whose numbers say where they belong."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from gymnasium import spaces

from surreal.algorithms.datasets.episode import Episode
from surreal.algorithms.datasets.writing.minari import DatasetWriter

OBSERVATION, ACTION = spaces.Box(-np.inf, np.inf, (3,), np.float64), spaces.Box(-2, 2, (1,), np.float32)


def episode(number: int, steps: int = 5, terminated: bool = False, **more: Any) -> Episode:
    """Return an episode whose observation t is (number, t, 0)."""
    observations = np.zeros((steps + 1, 3))
    observations[:, 0], observations[:, 1] = number, np.arange(steps + 1)
    actions = np.full((steps, 1), number % 3 - 1, dtype=np.float32)
    rewards = number + np.arange(steps) / 100
    return Episode(f"episode {number}", observations, actions, rewards, terminated, not terminated, number, **more)


def written(folder: Path, count: int = 4, steps: int = 5) -> Path:
    """Return the folder of a dataset of `count` episodes; every second one ends terminally."""
    with DatasetWriter(folder, "tests/walks-v0", OBSERVATION, ACTION, None, {"seed": 7}) as writer:
        for number in range(count):
            writer.add(episode(number, steps + number, terminated=number % 2 == 1))
    return folder


def d4rl(path: Path, following: bool = False, **replaced: Any) -> Path:
    """Return a file of D4RL's shape: 3 + 4 + 2 steps, of which the second episode is terminal."""
    lengths = (3, 4, 2)
    seen = np.concatenate([np.stack([np.full(n, k), np.arange(n)], axis=1) for k, n in enumerate(lengths)]).astype("f4")
    terminals, timeouts = np.zeros(9, dtype=bool), np.zeros(9, dtype=bool)
    terminals[6], timeouts[[2, 8]] = True, True
    arrays = {
        "observations": seen,
        "actions": seen[:, :1],
        "rewards": np.arange(9, dtype="f4"),
        "terminals": terminals,
        "timeouts": timeouts,
    }
    if following:
        arrays["next_observations"] = seen + np.array([0, 1], dtype="f4")
    with h5py.File(path, "w") as file:
        for name, array in {**arrays, **replaced}.items():
            if array is not None:
                file[name] = array
    return path
