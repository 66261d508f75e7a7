"""An off-policy run of stable-baselines3 that is kept on disk every few minutes, and goes on from there after a cut.

TD3, SAC and DDPG have no setting that depends on how many steps a run is given, so a longer run may go on from where a
shorter one ended. A new episode begins where a run goes on, random numbers come from another seed, and the update of
the step at which it was kept is left out. Nothing is pickled: networks and optimisers are a file of tensors, replay is
arrays and the rest JSON.
"""

import json
import os
import shutil
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from sb3_watch import Watch
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

EVERY = 300.0
"""Seconds between two times that a run is kept."""
REPLAY = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")


class Kept(Watch):
    """A watch that keeps its run in `folder`, where one is given."""

    def __init__(self, env: gymnasium.Env, steps: int, episodes: int, every: int, folder: Path | None) -> None:
        super().__init__(env, steps, episodes, every)
        self.folder, self._kept = folder, time.perf_counter()

    def _on_rollout_end(self) -> None:
        super()._on_rollout_end()
        if time.perf_counter() - self._kept >= EVERY:
            self.keep()

    def keep(self) -> None:
        """Put the run into `folder`, all of it or nothing; its seconds are not counted as training."""
        if self.folder is None:
            return
        start = time.perf_counter()
        half, old = self.folder.with_suffix(".half"), self.folder.with_suffix(".old")
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(parents=True)
        _write(self.model, half)
        (half / "watch.json").write_text(json.dumps(self.state()))
        shutil.rmtree(old, ignore_errors=True)
        if self.folder.exists():
            os.replace(self.folder, old)
        os.replace(half, self.folder)
        shutil.rmtree(old, ignore_errors=True)
        self._kept = time.perf_counter()
        self._away += self._kept - start

    def go_on(self, model: OffPolicyAlgorithm, seed: int, steps: int) -> int:
        """Bring `model`, made with `seed`, to where the run in `folder` was. Return the steps that it had taken.

        A run that has taken more than `steps` is left as it is, and this one is not kept.
        """
        folder = self.folder
        if folder is not None and not folder.exists():
            folder = folder.with_suffix(".old")  # it was cut between two renames
        if folder is None or not folder.exists():
            return 0
        state = json.loads((folder / "watch.json").read_text())
        if state["steps"] > steps:
            self.folder = None
            return 0
        _read(model, folder, state)
        self.restore(state)
        model.set_random_seed(seed + model.num_timesteps)
        print(f"goes on after {model.num_timesteps} steps", file=sys.stderr, flush=True)
        return model.num_timesteps

    def state(self) -> dict[str, Any]:
        """What a watch that goes on needs, and what its model has counted."""
        episodes = [{key: float(value) for key, value in episode.items()} for episode in self.model.ep_info_buffer]
        counted = {"steps": self.model.num_timesteps, "updates": self.model._n_updates, "episodes": episodes}
        return {**super().state(), **counted}


def _write(model: OffPolicyAlgorithm, folder: Path) -> None:
    buffer = model.replay_buffer
    size = buffer.buffer_size if buffer.full else buffer.pos
    arrays = {name: getattr(buffer, name)[:size] for name in REPLAY}
    np.savez(folder / "replay.npz", pos=buffer.pos, full=buffer.full, **arrays)
    tensors = model.get_parameters()
    if getattr(model, "ent_coef_optimizer", None) is not None:
        tensors["log_ent_coef"] = model.log_ent_coef.detach()
    torch.save(tensors, folder / "tensors.pt")


def _read(model: OffPolicyAlgorithm, folder: Path, counted: dict[str, Any]) -> None:
    with np.load(folder / "replay.npz") as kept:
        for name in REPLAY:
            array = kept[name]
            getattr(model.replay_buffer, name)[: len(array)] = array
        model.replay_buffer.pos, model.replay_buffer.full = int(kept["pos"]), bool(kept["full"])
    tensors = torch.load(folder / "tensors.pt", weights_only=True)
    temperature = tensors.pop("log_ent_coef", None)
    model.set_parameters(tensors, exact_match=True)
    if temperature is not None:
        with torch.no_grad():
            model.log_ent_coef.copy_(temperature)
    model.num_timesteps, model._n_updates = counted["steps"], counted["updates"]
    model.ep_info_buffer = deque(counted["episodes"], maxlen=model._stats_window_size)
    model.ep_success_buffer = deque(maxlen=model._stats_window_size)
