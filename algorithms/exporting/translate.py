"""From a loaded policy to its computation graph: statistics, network, memory, choice, bounds, all inside."""

from typing import Any

import numpy as np
from gymnasium import spaces

from surreal.algorithms.computation.graph import Computation
from surreal.algorithms.environments.actions import middle_and_half, whole_bounds
from surreal.algorithms.environments.spaces import Leaf, Spaces
from surreal.algorithms.es.batched_policy import Policies
from surreal.algorithms.policies import Policy
from surreal.algorithms.types import Array

OBSERVATION, ACTION, LOGITS = "observation", "action", "logits"
STATE, NEXT_STATE = "state", "next_state"


def computation_of(policy: Policy) -> Computation:
    """Return the graph of the deterministic policy.

    Inputs: `observation` [n, ...], or `observation.PART` for each part of an observation, and `state` [n, state_size]
    of a policy with memory, zeros at the start of an episode. Outputs: `action` [n, ...] in the environment's own
    space, `logits` [n, choices] where it chooses, for callers that have masks, and `next_state`. Raises InvalidInput
    for a network of one's own.
    """
    graph, found = Computation(), policy.spaces
    rows = _standardised(graph, policy)
    state = graph.input(STATE, (policy.state_size,), np.float32) if policy.state_size else ""
    out, following = policy.network.symbolic(graph, rows, state)
    if found.discrete:
        graph.output(ACTION, _chosen(graph, out, found), found.action_space.shape or (), found.action_space.dtype)
        graph.output(LOGITS, out, (found.action,), np.float32)
    else:
        graph.output(ACTION, _bounded(graph, policy, out), found.action_space.shape or (), found.action_space.dtype)
    if state:
        graph.output(NEXT_STATE, following, (policy.state_size,), np.float32)
    return graph


def _standardised(graph: Computation, policy: Policy) -> Any:
    """Add inputs and statistics. Return the name of the rows, or their names by part."""
    leaves, statistics, start = policy.spaces.leaves, policy.statistics, 0
    rows: dict[str, str] = {}
    for name, leaf in leaves.items():
        x = graph.input(".".join(filter(None, (OBSERVATION, name))), leaf.shape, leaf.dtype)
        if not leaf.image:
            x = _flat(graph, x, leaf)
        if leaf.standardized:
            cut = slice(start, start := start + leaf.size)
            x = _within(graph, x, statistics.shift[cut], statistics.scale[cut], statistics.clip)
        rows[name] = x
    return rows.get("", rows)


def _flat(graph: Computation, x: str, leaf: Leaf) -> str:
    flat = x if len(leaf.shape) == 1 else graph.reshaped(x, [leaf.size])
    return flat if leaf.dtype == np.float32 else graph.cast(flat, np.float32)


def _within(graph: Computation, x: str, shift: Array, scale: Array, clip: float) -> str:
    """Add (x - shift) * scale within +-clip, in float64 where the statistics are."""
    if clip == np.inf and not shift.any() and (scale == 1).all():
        return x
    wide = np.result_type(shift, scale) == np.float64
    kind = np.float64 if wide else np.float32
    x = graph.cast(x, kind) if wide else x
    x = graph.add("Mul", graph.add("Sub", x, shift.astype(kind)), scale.astype(kind))
    if clip < np.inf:
        x = graph.add("Max", graph.add("Min", x, np.array([clip], kind)), np.array([-clip], kind))
    return graph.cast(x, np.float32) if wide else x


def _chosen(graph: Computation, out: str, found: Spaces) -> str:
    """Add the likeliest choices in the environment's own numbers."""
    space: Any = found.action_space
    if isinstance(space, spaces.Discrete):
        best = graph.add("ArgMax", out)
        return graph.add("Add", best, np.array([space.start], np.int64))
    ends = np.cumsum(found.choices)
    parts = [
        graph.reshaped(graph.add("ArgMax", graph.columns(out, int(end - n), int(end))), [1])
        for n, end in zip(found.choices, ends, strict=True)
    ]
    first = np.broadcast_to(np.asarray(getattr(space, "start", 0)), space.shape).astype(np.int64)
    return graph.cast(graph.add("Add", graph.reshaped(graph.joined(parts), space.shape), first), space.dtype)


def _bounded(graph: Computation, policy: Policy, out: str) -> str:
    """Add the map of outputs to the bounds, the type and the shape of a Box."""
    found, space = policy.spaces, policy.spaces.action_space
    assert isinstance(space, spaces.Box)
    if getattr(policy.network, "squash", False):
        out = graph.add("Tanh", out)
    if found.scaling != "none" and not isinstance(policy.network, Policies):
        middle, half = middle_and_half(space)
        out = graph.add("Add", middle, graph.add("Mul", half, out))
    if space.dtype.kind == "f":
        low, high, out = space.low.reshape(-1), space.high.reshape(-1), graph.cast(out, space.dtype)
    else:
        low, high = whole_bounds(space, space.dtype)
        out = graph.add("Round", graph.cast(out, np.float64))
    within = graph.cast(graph.add("Min", graph.add("Max", out, low), high), space.dtype)
    return within if len(space.shape) == 1 else graph.reshaped(within, space.shape)
