"""One PPO update by stable-baselines3 and one by surreal, from the same weights, fragment and order of minibatches.

    PYTHON benchmarks beside.same_update

PYTHON is an interpreter that has both. The network and the settings are those of beside/minatar.py; a random fragment
of Breakout's shapes has terminated and truncated episodes. Prints how far the updates moved the parameters, and how far
apart they ended.
"""

from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv

from peers.sb3_tasks import Small
from surreal.algorithms.environments.environment import Environment
from surreal.algorithms.models.actor_critic import make_model
from surreal.algorithms.models.config import NetworkConfig
from surreal.algorithms.ppo.config import PPOConfig
from surreal.algorithms.ppo.update import Updater
from surreal.algorithms.rollouts.trajectories import Trajectories

STEPS, COPIES, EPOCHS, CHOICES, SHAPE = 128, 16, 4, 3, (4, 10, 10)
NAMES = (
    *("features_extractor.layers.0.0.weight", "features_extractor.layers.0.0.bias"),
    *("features_extractor.layers.1.weight", "features_extractor.layers.1.bias"),
    *("action_net.weight", "action_net.bias", "value_net.weight", "value_net.bias"),
)
"""Parameters of stable-baselines3's policy in the order of surreal's vector."""
SETTINGS: dict[str, Any] = {
    "minibatch": 512, "epochs": EPOCHS, "learning_rate": 1e-3, "entropy_coef": 0.01, "recompute_returns": False,
    "desired_kl": None, "fragment_steps": STEPS, "anneal": False, "gamma": 0.99, "gae_lambda": 0.95,
    "normalize_rewards": False,
}  # fmt: skip


class Game(gymnasium.Env):
    """Spaces of Breakout, as stable-baselines3's script has them; never stepped for what it returns."""

    observation_space = gymnasium.spaces.Box(0, 1, SHAPE, np.float32)
    action_space = gymnasium.spaces.Discrete(CHOICES)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Return nothing to see."""
        return np.zeros(self.observation_space.shape, self.observation_space.dtype), {}


class Flags(Game):
    """The same as MinAtar has them."""

    observation_space = gymnasium.spaces.Box(0, 1, (10, 10, 4), np.bool_)  # type: ignore[arg-type]


class Orders:
    """Source of the given permutations, instead of a random generator."""

    def __init__(self, orders: list[np.ndarray]) -> None:
        self._orders: Iterator[np.ndarray] = iter(orders)

    def permutation(self, size: int) -> np.ndarray:
        """Return the next order."""
        return next(self._orders)


def fragment(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return random arrays [steps, copies, ...]."""
    terminated = rng.random((STEPS, COPIES)) < 0.01
    truncated = (rng.random((STEPS, COPIES)) < 0.005) & ~terminated
    return {
        "observations": rng.random((STEPS + 1, COPIES, *SHAPE)) < 0.08,
        "final": rng.random((int(truncated.sum()), *SHAPE)) < 0.08,
        "actions": rng.integers(0, CHOICES, (STEPS, COPIES)),
        "rewards": (rng.random((STEPS, COPIES)) < 0.05).astype(np.float32),
        "terminated": terminated,
        "truncated": truncated,
    }


def fill(model: Any, data: dict[str, np.ndarray]) -> np.ndarray:
    """Put a fragment into stable-baselines3's buffer as its rollout does. Return log-probabilities [steps, copies]."""
    buffer, done = model.rollout_buffer, data["terminated"] | data["truncated"]
    rewards, starts = data["rewards"].copy(), np.ones(COPIES)

    def value(x: np.ndarray) -> Any:
        return model.policy.predict_values(torch.tensor(x, dtype=torch.float32))

    log_probs = np.zeros((STEPS, COPIES), np.float32)
    with torch.no_grad():
        rewards[data["truncated"]] += model.gamma * value(data["final"]).numpy()[:, 0]
        buffer.reset()
        for t in range(STEPS):
            seen, actions = data["observations"][t].astype(np.float32), data["actions"][t]
            values, found, _ = model.policy.evaluate_actions(torch.tensor(seen), torch.tensor(actions))
            buffer.add(seen, actions.reshape(COPIES, 1), rewards[t], starts, values, found)
            log_probs[t], starts = found.numpy(), done[t]
        buffer.compute_returns_and_advantage(value(data["observations"][STEPS]), done[-1])
    return log_probs


def parameters(model: Any) -> np.ndarray:
    """Return the parameters of stable-baselines3's policy as one vector in surreal's order."""
    state = model.policy.state_dict()
    return np.concatenate([state[name].numpy().reshape(-1) for name in NAMES])


def main() -> None:
    """Make both updates and compare."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    data: dict[str, Any] = fragment(rng)
    orders = [rng.permutation(STEPS * COPIES) for _ in range(EPOCHS)]
    words = {"n_steps": STEPS, "batch_size": 512, "n_epochs": EPOCHS, "learning_rate": 1e-3, "ent_coef": 0.01}
    kwargs = {"features_extractor_class": Small, "net_arch": [], "normalize_images": False}
    model: Any = PPO("CnnPolicy", DummyVecEnv([Game] * COPIES), seed=1, device="cpu", policy_kwargs=kwargs, **words)
    model._setup_learn(1_000_000)

    network = NetworkConfig(encoder="small-cnn", activation="relu")
    layout = make_model(network, Environment(Flags(), "Flags", "auto").spaces, [64, 64])
    updater = Updater(layout, PPOConfig(network=network, **SETTINGS), seed=1)
    updater.gradient.load({**updater.arrays(), "parameters": parameters(model)})
    updater.rng = Orders(orders)  # type: ignore[assignment]

    before, log_probs = parameters(model), fill(model, data)
    # its rows are one copy after another, surreal's one step after another
    theirs = Orders([order % COPIES * STEPS + order // COPIES for order in orders])
    np.random.permutation = theirs.permutation  # type: ignore[assignment]
    model.train()
    seen: dict[str, Any] = {
        name: np.ascontiguousarray(np.moveaxis(data.pop(name), -3, -1)) for name in ("observations", "final")
    }
    updater.update(Trajectories(**seen, **data, log_probs=log_probs), 0.0)

    after, ours = parameters(model), updater.parameters()
    moved, apart = np.linalg.norm(after - before), np.linalg.norm(after - ours)
    print(f"moved by {moved:.4f}, apart by {apart:.4f}, by {np.abs(after - ours).max():.6f} at most in a parameter")


if __name__ == "__main__":
    main()
