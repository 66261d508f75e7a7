"""REINFORCE (Williams 1992) with a baseline: an algorithm of one's own, whole, in one file. See reinforce.yaml."""

from contextlib import closing

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
    return features @ rows[:-1] + rows[-1]


def actor(process: tk.Process) -> None:
    """Play whole episodes with each version of the weights."""
    settings, weights, experience = (
        Settings(**process.config),
        process.subscriber("weights"),
        process.sender("experience"),
    )
    seen: tk.Version | None = None
    with closing(tk.make_env(process)) as env:
        while not process.should_stop:
            message = weights.wait(newer_than=seen)
            seen = message.version
            played = [
                play(env, message.arrays["parameters"], process.rng, settings.gamma) for _ in range(settings.episodes)
            ]
            features, choices, returns = (np.concatenate(part) for part in zip(*(p[:3] for p in played), strict=True))
            arrays = {
                "features": features,
                "choices": choices,
                "returns": returns,
                "totals": np.array([p[3] for p in played]),
            }
            experience.send(arrays, {}, seen)


def play(env: tk.Environment, parameters: tk.F32, rng: np.random.Generator, gamma: float) -> tuple[tk.Array, ...]:
    """Return features [n, ...], choices [n] and discounted returns [n] of one episode, and its whole return."""
    row, features, choices, rewards, over = env.reset(int(rng.integers(2**31)))[None].copy(), [], [], [], False
    while not over:
        scores = logits(parameters, row)
        choices.append(np.argmax(scores + rng.gumbel(size=scores.shape), axis=1))
        features.append(row.copy())
        reward, terminated, truncated = env.step(env.actions(choices[-1])[0], row, 0)
        rewards.append(reward)
        over = terminated or truncated
    returns = np.array(rewards, dtype=np.float32)
    for t in range(len(returns) - 2, -1, -1):
        returns[t] += gamma * returns[t + 1]
    return np.concatenate(features), np.concatenate(choices), returns, np.sum(rewards)


class Learner(tk.Trainer[list[tk.Message]]):
    """Ascends the gradient of the expected return."""

    def __init__(self, process: tk.Process) -> None:
        self.process, self.settings = process, Settings(**process.config)
        self.weights, self.experience = process.publisher("weights"), process.receiver("experience")
        with closing(tk.make_env(process)) as env:
            size = (env.spaces.observation + 1) * env.spaces.action
            self.policy = tk.describe("reinforce", env, process.env, {"kind": "stack", "hidden": [], "biased": True})
        self.parameters = np.zeros(size, dtype=np.float32)
        self.total_steps = self.settings.total_steps
        self.state = tk.ArrayState({"parameters": self.parameters}, self.total_steps)
        self.totals = np.zeros(0)

    def collect(self, waiting: tk.Waiting) -> list[tk.Message]:
        """Wait for the episodes of every actor with the present weights."""
        found: dict[str, tk.Message] = {}
        while len(found) < self.process.wiring.replicas["actor"]:
            message = self.experience.recv(timeout=5.0)
            if message is None:
                waiting("actor", 5.0)
            elif message.version == (self.process.wiring.incarnation, self.state.updates):
                found[message.sender] = message
        return [found[sender] for sender in sorted(found)]

    def learn(self, data: list[tk.Message]) -> dict[str, float]:
        """Take one step: features x (choice - its probability) x (return - mean), over the standard deviation."""
        features, choices, returns, self.totals = (
            np.concatenate([message.arrays[name] for message in data])
            for name in ("features", "choices", "returns", "totals")
        )
        scores = logits(self.parameters, features)
        probabilities = np.exp(scores - scores.max(axis=1, keepdims=True))
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        advantages = (returns - returns.mean()) / (returns.std() + 1e-8)
        slope = (np.eye(probabilities.shape[1])[choices] - probabilities) * advantages[:, None] / len(returns)
        step = np.concatenate([(features.T @ slope).ravel(), slope.sum(axis=0)])
        self.parameters += np.float32(self.settings.learning_rate) * step.astype(np.float32)
        self.state.steps, self.state.updates = self.state.steps + len(returns), self.state.updates + 1
        return {"episode_return": float(self.totals.mean()), "gradient_norm": float(np.linalg.norm(step))}

    def publish(self, version: tk.Version) -> None:
        """Send the parameters."""
        meta = {"steps": self.state.steps, "final": self.state.done()}
        self.weights.publish({"parameters": self.parameters}, meta, version[1])


def learner(process: tk.Process) -> tk.ExitCode:
    """Train to the end of the run."""
    return tk.train(process, Learner(process))


def evaluator(process: tk.Process) -> None:
    """Evaluate the newest weights every two seconds."""
    with closing(tk.make_env(process)) as env:

        def load(message: tk.Message) -> tk.Act:
            return lambda features: np.argmax(logits(message.arrays["parameters"], features), axis=1)

        tk.evaluate_on_clock(process, env, load, every=2.0, episodes=5)


REINFORCE = tk.Algorithm(
    "reinforce",
    Settings,
    roles=[
        tk.Role("learner", learner, ends_run=True),
        tk.Role("actor", actor, replicas=2, scalable=True, expendable=True),
        tk.Role("evaluator", evaluator, expendable=True, cpu=0.5),
    ],
    channels=[
        tk.Stream("experience", "actor", "learner", window=4, finite=True),
        tk.Broadcast("weights", "learner", ("actor", "evaluator")),
        tk.Stream("metrics", ("actor", "evaluator"), "learner", lossy=True),
    ],
)
