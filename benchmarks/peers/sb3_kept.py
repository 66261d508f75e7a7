"""An off-policy run of stable-baselines3 that is kept on disk every few minutes, and goes on from there after a cut.

TD3, SAC and DDPG have no setting that depends on how many steps a run is given, so a longer run may go on from where a
shorter one ended. A new episode begins where a run goes on, random numbers come from another seed, and the update of
the step at which it was kept is left out. Nothing is pickled: networks and optimisers are a file of tensors, replay is
arrays and the rest JSON.
"""

import json
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from kept import keep, newest
from sb3_watch import Watch
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

EVERY = 300.0
"""Seconds between two times that a run is kept."""
REPLAY = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")


class Kept(Watch):
    """A watch that keeps its run in `folder`, where one is given."""

    def __init__(
        self, env: gymnasium.Env, steps: int, episodes: int, every: int, folder: Path | None, about: dict[str, Any]
    ) -> None:
        """`about` is what two runs have in common of which the longer may go on from the shorter."""
        super().__init__(env, steps, episodes, every)
        self.folder, self._about, self._kept = folder, about, time.perf_counter()

    def _on_rollout_end(self) -> None:
        super()._on_rollout_end()
        if time.perf_counter() - self._kept >= EVERY:
            self.keep()

    def keep(self) -> None:
        """Put the run into `folder`; its seconds are not counted as training."""
        if self.folder is None:
            return
        start, state = time.perf_counter(), self.state()
        try:
            keep(self.folder, self.model.num_timesteps, lambda path: _write(self.model, state, path))
        except OSError as error:
            print(f"not kept after {self.model.num_timesteps} steps: {error}", file=sys.stderr, flush=True)
        self._kept = time.perf_counter()
        self._away += self._kept - start

    def go_on(self, model: OffPolicyAlgorithm, seed: int, steps: int) -> int:
        """Bring `model`, made with `seed`, to where the run in `folder` was. Return the steps that it had taken.

        A run of more than `steps`, or of other settings or versions, is left as it is, and this one is not kept.
        """
        found = newest(self.folder, _read) if self.folder else None
        if found is None:
            return 0
        state, tensors, replay = found
        if state["steps"] > steps or state["about"] != self._about:
            self.folder = None
            return 0
        _fill(model, state, tensors, replay)
        self.restore(state)
        model.set_random_seed(seed + model.num_timesteps)
        print(f"goes on after {model.num_timesteps} steps", file=sys.stderr, flush=True)
        return model.num_timesteps

    def state(self) -> dict[str, Any]:
        """What a watch that goes on needs, and what its model has counted."""
        episodes = [{key: float(value) for key, value in episode.items()} for episode in self.model.ep_info_buffer]
        counted = {"steps": self.model.num_timesteps, "updates": self.model._n_updates, "episodes": episodes}
        return {**super().state(), **counted, "about": self._about}


def _write(model: OffPolicyAlgorithm, state: dict[str, Any], folder: Path) -> None:
    buffer = model.replay_buffer
    size = buffer.buffer_size if buffer.full else buffer.pos
    arrays = {name: getattr(buffer, name)[:size] for name in REPLAY}
    np.savez(folder / "replay.npz", pos=buffer.pos, full=buffer.full, **arrays)
    tensors = model.get_parameters()
    if getattr(model, "ent_coef_optimizer", None) is not None:
        tensors["log_ent_coef"] = model.log_ent_coef.detach()
    torch.save(tensors, folder / "tensors.pt")
    (folder / "state.json").write_text(json.dumps(state))


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    state = json.loads((folder / "state.json").read_text())
    tensors = torch.load(folder / "tensors.pt", weights_only=True)
    with (folder / "replay.npz").open("rb") as file, np.load(file) as kept:
        return state, tensors, {name: kept[name] for name in (*REPLAY, "pos", "full")}


def _fill(model: OffPolicyAlgorithm, state: dict[str, Any], tensors: dict[str, Any], replay: dict[str, Any]) -> None:
    for name in REPLAY:
        getattr(model.replay_buffer, name)[: len(replay[name])] = replay[name]
    model.replay_buffer.pos, model.replay_buffer.full = int(replay["pos"]), bool(replay["full"])
    temperature = tensors.pop("log_ent_coef", None)
    model.set_parameters(tensors, exact_match=True)
    if temperature is not None:
        with torch.no_grad():
            model.log_ent_coef.copy_(temperature)
    model.num_timesteps, model._n_updates = state["steps"], state["updates"]
    model.ep_info_buffer = deque(state["episodes"], maxlen=model._stats_window_size)
    model.ep_success_buffer = deque(maxlen=model._stats_window_size)
