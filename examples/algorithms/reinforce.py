"""REINFORCE (Williams 1992) with a baseline: an algorithm of one's own, whole, in one file. See reinforce.yaml."""

from contextlib import closing
from functools import partial

import numpy as np

from surreal.algorithms import toolkit as tk


class Settings(tk.Config):
    """Hyperparameters, which the experiment file can set."""

    total_steps: tk.Count = 100_000
    episodes: tk.Count = 4
    """Episodes of each actor in an update."""
    learning_rate: tk.Positive = 1.0
    gamma: tk.Share = 0.98


def logits(parameters: tk.Array, features: tk.Array) -> tk.Array:
    """Return the scores [n, choices] of a linear policy: weights [features, choices], then a bias [choices]."""
    rows = parameters.reshape(features.shape[1] + 1, -1)
    return np.asarray(features @ rows[:-1] + rows[-1])


def choice(parameters: tk.Array, rng: np.random.Generator, features: tk.Array) -> tk.Int:
    """Return one choice [n] of the policy for each row of features."""
    return tk.sample(logits(parameters, features), rng)


def actor(process: tk.Process) -> None:
    """Play whole episodes with each version of the weights."""
    settings, experience, rng = Settings(**process.config), process.sender("experience"), process.rng
    with closing(tk.make_env(process)) as env:
        for weights in tk.versions(process):
            choose = partial(choice, weights.arrays["parameters"], rng)
            episodes = [tk.play(env, choose, rng) for _ in range(settings.episodes)]
            arrays = {
                "features": np.concatenate([each.features for each in episodes]),
                "choices": np.concatenate([each.actions for each in episodes]),
                "returns": np.concatenate([tk.discounted(each.rewards, settings.gamma) for each in episodes]),
                "totals": np.array([each.rewards.sum() for each in episodes]),
            }
            experience.send(arrays, {}, weights.version)


class Learner(tk.SynchronousTrainer):
    """Ascends the gradient of the expected return."""

    def __init__(self, process: tk.Process) -> None:
        self.settings = Settings(**process.config)
        with closing(tk.make_env(process)) as env:
            size = (env.spaces.observation + 1) * env.spaces.action
            policy = tk.describe("reinforce", env, process.env, {"kind": "stack", "hidden": [], "biased": True})
        super().__init__(process, {"parameters": np.zeros(size, np.float32)}, self.settings.total_steps, policy)

    def learn(self, data: dict[str, tk.Array]) -> dict[str, float]:
        """Take one step: features x (choice - its probability) x (return - mean), over the standard deviation."""
        features, returns, parameters = data["features"], data["returns"], self.arrays["parameters"]
        probabilities = tk.softmax(logits(parameters, features))
        advantages = (returns - returns.mean()) / (returns.std() + 1e-8)
        slope = (np.eye(probabilities.shape[1])[data["choices"]] - probabilities) * advantages[:, None] / len(returns)
        step = np.concatenate([(features.T @ slope).ravel(), slope.sum(axis=0)])
        parameters += np.float32(self.settings.learning_rate) * step.astype(np.float32)
        self.learned(steps=len(returns))
        return {"episode_return": float(data["totals"].mean()), "gradient_norm": float(np.linalg.norm(step))}


def learner(process: tk.Process) -> tk.ExitCode:
    """Train to the end of the run."""
    return tk.train(process, Learner(process))


def evaluator(process: tk.Process) -> None:
    """Evaluate the newest weights every two seconds."""
    with closing(tk.make_env(process)) as env:

        def load(weights: tk.Message) -> tk.Act:
            return lambda features: np.argmax(logits(weights.arrays["parameters"], features), axis=1)

        tk.evaluate_on_clock(process, env, load, every=2.0, episodes=5)


REINFORCE = tk.actor_learner("reinforce", Settings, learner=learner, actor=actor, evaluator=evaluator)
