"""Acting of many copies at once: by torch on a GPU, or for images, whose convolutions it computes faster than numpy."""

from typing import Any

import numpy as np

from surreal.algorithms.devices import Device, pick_device, wants_gpu
from surreal.algorithms.environments.actions import ActionMap
from surreal.algorithms.networks import Layout, Policy
from surreal.algorithms.types import Array


def acting_policy(layout: Layout, plain: Policy, device: Device = "auto", index: int = 0) -> Policy:
    """Return the policy of a layout for large batches: torch's where there is a GPU or an image, else `plain`.

    `device` is that of the config: cpu keeps off a GPU; cuda is for the learner alone, on a machine of its own.
    `index` is the replica's, which shares out several GPUs.
    """
    here: Device = "cpu" if device == "cpu" else "auto"
    return DevicePolicy(layout, plain, here, index) if layout.spaces.sees_images or wants_gpu(here) else plain


class DevicePolicy(Policy):
    """A policy whose network is torch's, on a GPU where there is one; see `networks.Policy`. States stay arrays."""

    def __init__(self, layout: Layout, plain: Policy, device: Device = "auto", index: int = 0) -> None:
        """Compute as `plain` does, which chooses and rates actions."""
        from surreal.algorithms.models.learning import Bound

        self._layout, self._plain = layout, plain
        self.choices, self.outputs, self.state_size = plain.choices, layout.outputs, layout.state_size
        self.squash = layout.squash
        self._network = Bound(layout, np.zeros(layout.size, dtype=np.float32), pick_device(device, index))

    def load(self, vector: Array) -> None:
        """Take over the parameters [size]."""
        self._plain.load(vector)
        # what came in a message is read-only, which torch warns of
        self._network.load(np.array(vector))

    def forward(self, observations: Any) -> Array:
        """Map observations [batch, ...] to outputs [batch, outputs], at the start of an episode."""
        rows = next(iter(observations.values())) if isinstance(observations, dict) else observations
        return self.advance(observations, self.initial_state(len(rows)))[0]

    def advance(self, observations: Any, state: Array) -> tuple[Array, Array]:
        """See Policy."""
        import torch

        from surreal.algorithms.models.learning import tensors_of

        network = self._network
        with torch.no_grad():
            rows, kept = tensors_of(observations, network.device), tensors_of(state, network.device)
            outs, following = self._layout.step(network.parts, rows, kept)
        return np.asarray(outs.float().cpu().numpy()), np.asarray(following.float().cpu().numpy())

    def bounded(self, onto_bounds: ActionMap) -> ActionMap:
        """See Policy."""
        return self._plain.bounded(onto_bounds)

    def noted(self, state: Array, actions: Array, rewards: Array) -> None:
        """See Policy."""
        self._plain.noted(state, actions, rewards)

    def noise(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """See Policy."""
        return self._plain.noise(rng, shape)

    def act(self, out: Array, noise: Array) -> Array:
        """See Policy."""
        return self._plain.act(out, noise)

    def best(self, out: Array) -> Array:
        """See Policy."""
        return self._plain.best(out)

    def log_prob(self, outs: Array, actions: Array) -> Array:
        """See Policy."""
        return self._plain.log_prob(outs, actions)
