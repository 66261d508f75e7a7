"""Networks of every kind that PPO and IMPALA offer, for tests of them on a GPU."""

from typing import Any

import numpy as np
from gymnasium import spaces

from surreal.algorithms.networks import Layout
from tests.algorithms.gpu.device import SEQUENCE
from tests.algorithms.models.samples import NUMBERS, PIXELS, PLANES, ROBOT, model

BOX = spaces.Box(-1, 1, (3,), np.float32)
PARTS = spaces.MultiDiscrete([3, 2])
NETWORKS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "tanh-pair": (NUMBERS, BOX, {}),
    "tanh-pair-choices": (NUMBERS, None, {}),
    "mlp": (NUMBERS, BOX, {"encoder": "mlp", "activation": "silu", "layer_norm": True}),
    "state-std": (NUMBERS, BOX, {"std": "state", "squash": True}),
    "gsde": (NUMBERS, BOX, {"std": "gsde"}),
    "small-cnn": (PLANES, None, {"activation": "relu"}),
    "nature-cnn": (PIXELS, PARTS, {"encoder": "nature-cnn", "encoder_width": 32}),
    "impala-resnet": (PLANES, None, {"encoder": "impala-resnet", "encoder_width": 32}),
    "parts": (ROBOT, BOX, {"encoder_width": 16}),
    "lstm": (NUMBERS, BOX, {"memory": {"kind": "lstm", "size": 6}, "trunk": [7]}),
    "lstm-alone": (NUMBERS, None, {"memory": {"kind": "lstm", "size": 8}}),
    "gru": (NUMBERS, None, {"memory": {"kind": "gru", "size": 6}}),
    "cnn-lstm": (PLANES, None, {"encoder_width": 16, "memory": {"kind": "lstm", "size": 16}}),
}
"""Name -> observations, actions (three choices by default), settings of the network."""


def layout_of(kind: str) -> Layout:
    """The layout of one of them."""
    observation, action, network = NETWORKS[kind]
    return model(observation, action, **network)


def settings_of(kind: str, device: Any, **more: Any) -> dict[str, Any]:
    """A config whose network is one of them, differentiated by torch."""
    network = NETWORKS[kind][2]
    sequence = {"sequence_steps": SEQUENCE} if "memory" in network and "sequence_steps" not in more else {}
    return {"network": network, "hidden": [8], "device": device, "gradients": "autograd", **sequence, **more}
