"""Parts of a synchronous algorithm: episodes, returns, and a learner that waits for every actor's newest message."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from surreal.algorithms import toolkit as tk
from surreal.protocol.wire.packet import Message


def process(
    *messages: Message | None,
    published: list[Any] | None = None,
    actors: int = 2,
    least: int | None = None,
    alive: tuple[int, ...] = (),
) -> tk.Process:
    """Return the part of a Process that a learner of two actors uses; `messages` come from them."""
    waiting = iter(messages)
    bounds = {} if least is None else {"actor": least}
    wiring = SimpleNamespace(code="", replicas={"actor": actors}, least=bounds, incarnation=3, record=None)
    receiver = SimpleNamespace(recv=lambda timeout: next(waiting))
    publisher = SimpleNamespace(publish=lambda *sent: (published if published is not None else []).append(sent))
    return cast(
        tk.Process,
        SimpleNamespace(
            env={"id": "CartPole-v1", "copies": 1, "options": {}},
            wiring=wiring,
            session=SimpleNamespace(alive=lambda role: set(alive)),
            receiver=lambda name: receiver,
            publisher=lambda name: publisher,
        ),
    )


class Summing(tk.SynchronousTrainer):
    """A learner that adds what the actors send."""

    def learn(self, data: dict[str, tk.Array]) -> dict[str, float]:
        self.arrays["total"] += data["x"].sum()
        self.learned(steps=len(data["x"]))
        return {}


def message(index: int, values: list[float], updates: int, incarnation: int = 3) -> Message:
    return Message(f"actor/{index}", 1, 0, (incarnation, updates), {}, {"x": np.array(values, np.float32)})


def test_a_learner_waits_for_the_newest_episodes_of_every_actor_and_publishes_its_arrays() -> None:
    published: list[Any] = []
    waited: list[tuple[str, float]] = []
    old, earlier = message(0, [9.0], updates=7), message(1, [9.0], updates=0, incarnation=2)
    sent = [old, message(1, [3.0, 4.0], 0), earlier, None, message(0, [1.0, 2.0], 0), None]
    trainer = Summing(process(*sent, published=published), {"total": np.zeros(1, np.float32)}, total_steps=4)
    data = trainer.collect(lambda names, seconds: waited.append((names, seconds)))
    # Joined in the order of the actors' names, not of their arrival.
    assert data["x"].tolist() == [1.0, 2.0, 3.0, 4.0]
    assert [names for names, _ in waited] == ["1 of 2 actors"]
    trainer.learn(data)
    trainer.publish((3, 1))
    ((arrays, meta, update),) = published
    assert (arrays["total"].tolist(), meta, update) == ([10.0], {"steps": 4, "final": True}, 1)


@pytest.mark.parametrize(("alive", "waits_for"), [((), 2), ((0, 1), 2), ((0, 1, 4), 3)])
def test_a_learner_of_a_changing_number_waits_for_those_that_are_heard_from(
    alive: tuple[int, ...], waits_for: int
) -> None:
    sent = [message(index, [float(index)], 0) for index in (1, 0, 4, 5)]
    trainer = Summing(
        process(*sent, actors=64, least=2, alive=alive), {"total": np.zeros(1, np.float32)}, total_steps=4
    )
    assert len(trainer.collect(lambda names, seconds: None)["x"]) == waits_for


def test_what_it_learned_is_in_its_checkpoint() -> None:
    trainer = Summing(process(), {"total": np.zeros(1, np.float32)}, total_steps=4)
    trainer.learn({"x": np.ones(3)})
    saved = trainer.state.checkpoint()
    other = Summing(process(), {"total": np.zeros(1, np.float32)}, total_steps=4)
    other.state.restore(saved)
    assert (other.arrays["total"].tolist(), other.state.steps, other.state.updates) == ([3.0], 3, 1)


def test_an_episode_holds_what_the_policy_saw_chose_and_got() -> None:
    env = tk.make_env(process())
    seen: list[Any] = []

    def choose(row: tk.Array) -> tk.Array:
        seen.append(row.copy())
        assert row.shape == (1, 4)
        return np.array([1])

    episode = tk.play(env, choose, np.random.default_rng(0))
    again = tk.play(env, choose, np.random.default_rng(0))
    env.close()
    # The pole falls after about ten pushes to one side, each of which is worth 1.
    assert 5 < len(episode.rewards) < 20 and (episode.rewards == 1).all()
    assert episode.actions.tolist() == [1] * len(episode.rewards)
    np.testing.assert_array_equal(episode.features, np.concatenate(seen[: len(episode.rewards)]))
    np.testing.assert_array_equal(episode.features, again.features)


def test_returns_are_the_discounted_rewards_that_follow() -> None:
    rewards = np.array([1.0, 0.0, 2.0], dtype=np.float32)
    np.testing.assert_allclose(tk.discounted(rewards, 0.5), [1.5, 1.0, 2.0])
    np.testing.assert_allclose(tk.discounted(rewards, 1.0), [3.0, 2.0, 2.0])
    assert rewards.tolist() == [1.0, 0.0, 2.0]


def test_samples_are_drawn_with_the_probabilities_of_the_logits() -> None:
    logits = np.tile(np.log([0.2, 0.5, 0.3]) + 1000.0, (40_000, 1))
    np.testing.assert_allclose(tk.softmax(logits)[0], [0.2, 0.5, 0.3], rtol=1e-6)
    drawn = np.bincount(tk.sample(logits, np.random.default_rng(0)), minlength=3) / len(logits)
    np.testing.assert_allclose(drawn, [0.2, 0.5, 0.3], atol=0.01)


def learner(process: tk.Process) -> None:
    """Return at once."""


def test_the_usual_graph_has_three_roles_and_their_channels() -> None:
    made = tk.actor_learner("own", tk.Config, learner=learner, actor="m:actor", evaluator="m:evaluator")
    assert [(role.name, role.ends_run, role.scalable, role.expendable) for role in made.roles] == [
        ("learner", True, False, False),
        ("actor", False, True, True),
        ("evaluator", False, False, True),
    ]
    assert made.role("learner").entry_point == f"{__name__}:learner"
    kinds = [(channel.name, channel.kind, channel.binds) for channel in made.channels]
    assert kinds == [
        ("experience", "stream", "learner"),
        ("weights", "broadcast", "learner"),
        ("metrics", "stream", "learner"),
    ]
