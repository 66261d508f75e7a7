"""Encoders of observations: one for each part of an observation, their outputs side by side."""

from collections.abc import Mapping
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from surreal.algorithms.computation.graph import Computation
from surreal.algorithms.environments.spaces import Leaf
from surreal.algorithms.models.blocks import Block, Dense, Forward, Part
from surreal.algorithms.models.config import IMAGE_ENCODERS, NetworkConfig
from surreal.algorithms.models.convolutions import NATURE, SMALL, ConvNet, Images, ImpalaResNet
from surreal.algorithms.types import Array
from surreal.protocol.errors import Fatal, did_you_mean

if TYPE_CHECKING:
    from torch import Tensor

NATURE_LEAST = 36
"""Pixels of a side that Nature's three convolutions need."""
WIDTHS = {"nature-cnn": 512, "small-cnn": 128, "impala-resnet": 256, "mlp": 64}
KEY = "spec.algorithm.config.network"


class Numbers:
    """Encoder of a part that is a vector already: its entries as float32."""

    parts: dict[str, Part] = {}

    def __init__(self, width: int) -> None:
        self.width = width

    def acting(self, views: Mapping[str, Array]) -> Forward:
        """See Block."""
        return lambda x: x.reshape(len(x), -1).astype(np.float32, copy=False)

    def torch(self, tensors: Mapping[str, "Tensor"], x: Any) -> "Tensor":
        """See Block."""
        found: Tensor = x.flatten(1).float()
        return found

    def symbolic(self, graph: Computation, views: Mapping[str, Array], x: str) -> str:
        """See Block."""
        return graph.cast(graph.reshaped(x, [self.width]), np.float32)


class Encoder:
    """Encoders of all parts of an observation; takes an array for the one part "", or arrays by name."""

    def __init__(self, name: str, leaves: Mapping[str, Leaf], network: NetworkConfig) -> None:
        """Raise Fatal where a part is given an encoder that does not take it."""
        if unknown := [key for key in network.encoders if key not in leaves]:
            known = ", ".join(map(repr, leaves))
            near = did_you_mean(unknown[0], leaves)
            raise Fatal(f"{KEY}.encoders: {unknown[0]!r} is no part of the observation{near}. Its parts are: {known}.")
        self.blocks = {
            leaf: make_encoder(".".join(filter(None, (name, leaf))), leaf, leaves[leaf], network) for leaf in leaves
        }
        self.parts = {key: part for block in self.blocks.values() for key, part in block.parts.items()}
        self.width = sum(block.width for block in self.blocks.values())

    def acting(self, views: Mapping[str, Array]) -> Forward:
        """See Block."""
        functions = {name: block.acting(views) for name, block in self.blocks.items()}
        if len(functions) == 1:
            name, only = next(iter(functions.items()))
            return lambda rows: only(rows[name] if isinstance(rows, Mapping) else rows)
        return lambda rows: np.concatenate([function(rows[name]) for name, function in functions.items()], axis=1)

    def torch(self, tensors: Mapping[str, "Tensor"], x: Any) -> "Tensor":
        """See Block."""
        import torch

        if not isinstance(x, Mapping):
            x = dict.fromkeys(self.blocks, x)
        found = [block.torch(tensors, x[name]) for name, block in self.blocks.items()]
        return found[0] if len(found) == 1 else torch.cat(found, dim=1)

    def symbolic(self, graph: Computation, views: Mapping[str, Array], x: Any) -> str:
        """See Block; `x` is one name, or names by part."""
        if not isinstance(x, Mapping):
            x = dict.fromkeys(self.blocks, x)
        return graph.joined([block.symbolic(graph, views, x[name]) for name, block in self.blocks.items()])


def make_encoder(name: str, leaf: str, found: Leaf, network: NetworkConfig) -> Block:
    """Return the encoder of the part `leaf`. Raises Fatal where the kind that was asked for does not take it."""
    kind = network.encoders.get(leaf, network.encoder)
    key = f"{KEY}.encoders.{leaf}" if leaf in network.encoders else f"{KEY}.encoder"
    if not found.image:
        # An encoder for all parts is meant for the images among them, where there are several parts.
        if kind in IMAGE_ENCODERS and (leaf == "" or leaf in network.encoders):
            what = f"takes images, and {leaf or 'the observation'} is numbers of shape {list(found.shape)}"
            raise Fatal(f"{key}: {kind!r} {what}. Set encoder: auto or mlp.")
        size = prod(found.shape)
        if kind == "mlp":
            return Dense(name, size, [network.encoder_width or WIDTHS["mlp"]], network.activation, network.layer_norm)
        return Numbers(size)
    images = Images(found.shape, found.dtype)
    least = min(images.shape[1:])
    if kind == "auto":
        kind = "nature-cnn" if least >= NATURE_LEAST else "small-cnn"
    if kind not in IMAGE_ENCODERS:
        what = f"takes numbers, and {leaf or 'the observation'} is an image of shape {list(found.shape)}"
        raise Fatal(f"{key}: {kind!r} {what}. Set encoder: auto, or one of {', '.join(IMAGE_ENCODERS)}.")
    return _of_images(name, key, kind, images, network.encoder_width or WIDTHS[kind])


def _of_images(name: str, key: str, kind: str, images: Images, width: int) -> Block:
    least = min(images.shape[1:])
    if kind == "impala-resnet":
        return ImpalaResNet(name, images, width)
    needed = NATURE_LEAST if kind == "nature-cnn" else SMALL[0].size
    if least < needed:
        what = f"needs {needed} pixels a side, and these images have {images.shape[1]}x{images.shape[2]}"
        raise Fatal(f"{key}: {kind!r} {what}. Set encoder: small-cnn or impala-resnet.")
    return ConvNet(name, images, NATURE if kind == "nature-cnn" else SMALL, width)
