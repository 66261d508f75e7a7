"""Figures of a run of stable-baselines3, measured as surreal's are."""

import os
import platform
import sys
import time
from importlib.metadata import version
from typing import Any

import gymnasium
import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

POINTS = 100
"""Points of a training curve."""
SEED = 1_000_003
"""Evaluation episodes start from the same seeds as those of surreal's evaluator."""
PACKAGES = ("stable-baselines3", "torch", "numpy", "mujoco", "gymnasium")


class Watch(BaseCallback):
    """Notes the training return POINTS times over a run; evaluates each `every` steps, in `env`, and tells of it."""

    def __init__(self, env: gymnasium.Env, steps: int, episodes: int, every: int) -> None:
        super().__init__()
        self.env, self.episodes = env, episodes
        self.curve: list[tuple[int, float, float]] = []
        self.evaluations: list[float] = []
        self._note_every, self._evaluate_every = max(1, steps // POINTS), every
        self._noted = self._evaluated = 0
        self.parts = 1
        """Times that the run was begun or gone on with."""
        self._began, self._away = time.perf_counter(), 0.0

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        if self.num_timesteps >= (self._noted + 1) * self._note_every:
            self._noted = self.num_timesteps // self._note_every
            self.note()
        if self.num_timesteps // self._evaluate_every > self._evaluated // self._evaluate_every:
            self._evaluated = self.num_timesteps
            self.evaluations.append(self.evaluate())
            words = f"{self.num_timesteps} steps in {self.seconds():.0f} s: evaluated {self.evaluations[-1]:.1f}"
            print(words, file=sys.stderr, flush=True)

    def seconds(self) -> float:
        """Seconds of training so far."""
        return time.perf_counter() - self._began - self._away

    def state(self) -> dict[str, Any]:
        """What a watch that goes on needs, as JSON has it."""
        evaluations = {"evaluations": self.evaluations, "evaluated": self._evaluated}
        return {"curve": self.curve, **evaluations, "seconds": self.seconds(), "parts": self.parts}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self.curve = [(int(steps), seconds, value) for steps, seconds, value in state["curve"]]
        self.evaluations, self._evaluated = list(state["evaluations"]), state["evaluated"]
        self.parts = state["parts"] + 1
        self._noted = self.curve[-1][0] // self._note_every if self.curve else 0
        self._began, self._away = time.perf_counter() - state["seconds"], 0.0

    def note(self) -> None:
        """Add a point to the curve, once an episode has ended."""
        returns = [episode["r"] for episode in self.model.ep_info_buffer]
        if returns and (not self.curve or self.curve[-1][0] < self.num_timesteps):
            self.curve.append((self.num_timesteps, self.seconds(), float(np.mean(returns))))

    def evaluate(self) -> float:
        """The mean return of deterministic episodes; its seconds are not counted as training."""
        start = time.perf_counter()
        returns = [self._episode(SEED + episode) for episode in range(self.episodes)]
        self._away += time.perf_counter() - start
        return float(np.mean(returns))

    def _episode(self, seed: int) -> float:
        normalizer = self.model.get_vec_normalize_env()
        observation, _ = self.env.reset(seed=seed)
        total, over = 0.0, False
        while not over:
            seen = observation if normalizer is None else normalizer.normalize_obs(observation)
            action, _ = self.model.predict(seen, deterministic=True)
            observation, reward, terminated, truncated, _ = self.env.step(action)
            total, over = total + float(reward), terminated or truncated
        return total


def versions(*packages: str) -> dict[str, str]:
    """Versions that a run's figures depend on, those of `packages` too."""
    return {**{name: version(name) for name in (*PACKAGES, *packages)}, "python": platform.python_version()}


def row(watch: Watch, *packages: str) -> dict[str, Any]:
    """Values that `learning.rows.Row` holds of a run that is over, with the versions of `packages` too."""
    watch.note()
    last = watch.evaluate()
    deterministic = f"deterministic, mean of {watch.episodes} episodes"
    return {
        "steps": watch.num_timesteps,
        "seconds": watch.curve[-1][1] if watch.curve else 0.0,
        "figures": {
            "training": watch.curve[-1][2] if watch.curve else None,
            "last": last,
            "best": max([*watch.evaluations, last]),
        },
        "conventions": {
            "training": "exploring, mean of the last 100 episodes",
            "last": f"{deterministic}, last weights",
            "best": f"{deterministic}, best evaluation of the run",
        },
        "curve": watch.curve,
        "busy": watch.parts > 1,  # nobody knows what else the machine did when the other parts ran
        "versions": versions(*packages),
        "machine": f"{os.cpu_count()} cores, {platform.platform()}",
    }
