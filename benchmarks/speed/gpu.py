"""Updates a second of learners on the CPU and on a GPU, and actions a second of policies there, in turns.

    python benchmarks speed.gpu [--rounds 3] [--seconds 0.6] [--limit 80] [--only sac nature] [--device cuda]

The CPU computes as the product does: by hand where `gradients: auto` has it so, else by torch with its own number of
threads. A batch begins in memory, so its way to the GPU counts. `--device cpu` says what two turns of the same differ
by. No case is begun after `--limit` seconds.
"""

import argparse
import sys
from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch
from gymnasium import spaces

from learning.numbers import count, positive
from surreal.algorithms.environments.spaces import Spaces
from surreal.algorithms.impala.config import IMPALAConfig
from surreal.algorithms.impala.update import Updater as IMPALAUpdater
from surreal.algorithms.models import device_acting
from surreal.algorithms.models.acting import make_policy
from surreal.algorithms.models.actor_critic import make_model
from surreal.algorithms.models.config import NetworkConfig
from surreal.algorithms.networks import Layout
from surreal.algorithms.offpolicy.config import SACConfig
from surreal.algorithms.offpolicy.method import Method
from surreal.algorithms.offpolicy.updates.base import Batch
from surreal.algorithms.ppo.config import PPOConfig
from surreal.algorithms.ppo.update import Updater as PPOUpdater
from surreal.algorithms.rollouts.trajectories import Trajectories

Work = Callable[[], Any]
CHEETAH = (spaces.Box(-np.inf, np.inf, (17,), np.float32), spaces.Box(-1, 1, (6,), np.float32))
ATARI = (spaces.Box(0, 255, (4, 84, 84), np.uint8), spaces.Discrete(6))
WIDE = {"policy": [1024, 1024]}
NATURE, RESNET = {"encoder": "nature-cnn"}, {"encoder": "impala-resnet"}
LSTM = {"memory": {"kind": "lstm", "size": 256}}


def layout_of(kind: tuple[Any, Any], network: dict[str, Any]) -> Layout:
    """Return the layout of a network for observations and actions."""
    config = NetworkConfig(**network)
    return make_model(config, Spaces(*kind).seen_as(config.view), [64, 64])


def observed(layout: Layout, *lead: int) -> Any:
    """Return random observations [*lead, ...]."""
    rng, leaf = np.random.default_rng(0), layout.spaces.leaves[""]
    if leaf.image:
        return rng.integers(0, 256, (*lead, *leaf.shape)).astype(leaf.dtype)
    return rng.standard_normal((*lead, *leaf.shape)).astype(np.float32)


def trajectories(layout: Layout, steps: int, copies: int) -> Trajectories:
    """Return random transitions that end nowhere."""
    rng, discrete, width = np.random.default_rng(0), layout.spaces.discrete, layout.spaces.action
    never = np.zeros((steps, copies), np.bool_)
    actions = rng.integers(0, width, (steps, copies)) if discrete else rng.standard_normal((steps, copies, width))
    return Trajectories(
        observations=observed(layout, steps + 1, copies),
        final=observed(layout, 0),
        actions=actions if discrete else actions.astype(np.float32),
        log_probs=np.full((steps, copies), -1.8 if discrete else -8.5, np.float32),
        rewards=rng.standard_normal((steps, copies)).astype(np.float32),
        terminated=never,
        truncated=never,
        states=np.zeros((1, copies, layout.state_size), np.float32) if layout.state_size else None,
    )


def ppo(device: Any, kind: tuple[Any, Any], network: Any, size: tuple[int, int], minibatch: int, epochs: int) -> Work:
    """Return an update of PPO: estimates, and epochs of minibatches."""
    layout = layout_of(kind, network)
    settings: dict[str, Any] = {"fragment_steps": size[0], "minibatch": minibatch, "epochs": epochs}
    updater = PPOUpdater(layout, PPOConfig(**settings, network=network, device=device), 0)
    data = trajectories(layout, *size)
    return lambda: updater.update(data, 0.0)


def impala(device: Any, network: Any, size: tuple[int, int]) -> Work:
    """Return an update of IMPALA: one step on images."""
    layout = layout_of(ATARI, network)
    updater = IMPALAUpdater(layout, IMPALAConfig(fragment_steps=size[0], network=network, device=device), 0)
    data = trajectories(layout, *size)
    return lambda: updater.update(data, 0.0)


def sac(device: Any, hidden: list[int], size: int) -> Work:
    """Return an update of SAC: critics, actor, temperature, targets."""
    method = Method("sac", SACConfig(hidden=hidden, device=device))
    seen, rng, rates = Spaces(*CHEETAH), np.random.default_rng(0), method.rates()
    engine = method.engine(seen, rng)

    def normal(*shape: int) -> Any:
        return rng.standard_normal(shape, dtype=np.float32)

    rows, ones = (size, 6), np.ones(size, np.float32)
    batch = Batch(
        normal(size, 17), np.tanh(normal(*rows)), normal(size), 0.99 * ones, normal(size, 17), ones, normal(*rows),
        normal(*rows),
    )  # fmt: skip

    def update() -> None:
        engine.critic_step(batch, rates.critic)
        engine.actor_step(batch, rates)
        engine.move_targets(0.005)

    return update


def acting(device: str, kind: tuple[Any, Any], network: dict[str, Any], copies: int) -> Work:
    """Return a step of many copies: by numpy as an actor has it, or as the role of central inference with a GPU."""
    layout = layout_of(kind, network)
    plain = make_policy(layout)
    policy = plain if device == "cpu" else device_acting.DevicePolicy(layout, plain)
    policy.load(layout.initial(np.random.default_rng(0), -0.5))
    rows, state = observed(layout, copies), policy.initial_state(copies)
    return lambda: policy.advance(rows, state)


CASES: dict[str, tuple[int, Callable[[str], Work]]] = {
    "ppo tanh 64-64, 2,048 in minibatches of 64": (1, lambda d: ppo(d, CHEETAH, {}, (128, 16), 64, 10)),
    "ppo tanh 1024-1024, 2,048 in 512s": (1, lambda d: ppo(d, CHEETAH, WIDE, (128, 16), 512, 2)),
    "ppo nature-cnn, 512 images in 256s": (1, lambda d: ppo(d, ATARI, NATURE, (64, 8), 256, 2)),
    "ppo nature-cnn and lstm 256, 512 in 256s": (1, lambda d: ppo(d, ATARI, {**NATURE, **LSTM}, (64, 8), 256, 2)),
    "impala nature-cnn, 640 images": (1, lambda d: impala(d, NATURE, (20, 32))),
    "impala impala-resnet, 640 images": (1, lambda d: impala(d, RESNET, (20, 32))),
    "sac 256-256, 256": (1, lambda d: sac(d, [256, 256], 256)),
    "sac 1024-1024, 256": (1, lambda d: sac(d, [1024, 1024], 256)),
    "acting tanh 1024-1024, 256 copies": (256, lambda d: acting(d, CHEETAH, WIDE, 256)),
    "acting nature-cnn, 256 copies": (256, lambda d: acting(d, ATARI, NATURE, 256)),
    "acting impala-resnet, 64 copies": (64, lambda d: acting(d, ATARI, RESNET, 64)),
}
"""Name -> what one call counts for, and what makes it for a device."""


def rate(work: Work, seconds: float) -> float:
    """Return calls a second; one call at least."""
    calls, began = 0, perf_counter()
    while not calls or perf_counter() - began < seconds:
        work()
        calls += 1
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return calls / (perf_counter() - began)


def compare(name: str, device: str, rounds: int, seconds: float) -> None:
    """Print the row of one case."""
    counts, make = CASES[name]
    sides = [make("cpu"), make(device)]
    for work in sides:
        for _ in range(2):  # the first ones load what is compiled
            work()
    pairs = [[counts * rate(work, seconds) for work in sides] for _ in range(rounds)]
    cpu, other = (median(column) for column in zip(*pairs, strict=True))
    ratios = [two / one for one, two in pairs]
    spread = f"{min(ratios):.2f}-{max(ratios):.2f}"
    print(f"| {name} | {cpu:,.1f} | {other:,.1f} | {median(ratios):.2f} | {spread} |", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=count, default=3)
    parser.add_argument("--seconds", type=positive, default=0.6)
    parser.add_argument("--limit", type=positive, default=80.0)
    parser.add_argument("--only", nargs="+", default=[""], help="cases with one of these words in their names")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        print("torch sees no GPU here, so there is nothing to compare.", file=sys.stderr)
        sys.exit(2)
    name = torch.cuda.get_device_name() if options.device == "cuda" else "the CPU again"
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {name}; median of {options.rounds} turns\n")
    print(f"| updates, or actions, a second | cpu | {options.device} | {options.device}/cpu | range |")
    print("|---|--:|--:|--:|---|")
    began = perf_counter()
    for case in CASES:
        if any(word in case for word in options.only) and perf_counter() - began < options.limit:
            compare(case, options.device, options.rounds, options.seconds)


if __name__ == "__main__":
    main()
