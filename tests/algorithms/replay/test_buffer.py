"""The buffer of a shard: what is drawn is what was inserted, however often the ring has gone round."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surreal.algorithms.replay.buffer import ReplayBuffer
from surreal.algorithms.replay.config import ReplayConfig, ReplaySettings
from surreal.algorithms.replay.fragment import MisfitError
from surreal.algorithms.types import Array
from surreal.protocol.errors import Fatal
from tests.algorithms.replay.fragments import fragment, message, transitions


def buffer(capacity: int = 1000, n: int = 1, budget: int = 0, **replay: Any) -> ReplayBuffer:
    config = ReplayConfig(capacity=capacity, **replay)
    return ReplayBuffer(ReplaySettings(config, n_step=n, gamma=0.9), np.random.default_rng(0), budget)


def all_items(made: ReplayBuffer) -> dict[str, Array]:
    """Every item that is there, the oldest first."""
    items = np.arange(made.ring.first_item, made.ring.next_item)
    out = {name: np.empty((len(items), *field.shape), field.dtype) for name, field in made.layout.items()}
    made.fill(items, out)
    return out


@settings(max_examples=30, deadline=None)
@given(st.integers(20, 90), st.integers(1, 4), st.integers(1, 3), st.sampled_from([0.0, 0.2, 0.9]), st.integers(0, 999))
def test_items_are_the_transitions_of_the_newest_fragments_over_many_rounds(
    capacity: int, n: int, copies: int, ends: float, seed: int
) -> None:
    rng, made = np.random.default_rng(seed), buffer(capacity, n)
    expected: list[dict[str, Any]] = []
    for seq in range(30):
        arrays = fragment(rng, int(rng.integers(1, 4)), copies, ends, base=1000 * seq + 1)
        made.insert(message(arrays, seq))
        expected += transitions(arrays, n, 0.9)
        found = all_items(made)
        there = expected[-made.items :]
        assert 0 < made.items <= capacity
        for name in ("observations", "actions", "rewards", "discounts"):
            assert found[name] == pytest.approx(np.array([each[name] for each in there]), rel=1e-5, abs=1e-6)
        alive = found["discounts"] > 0
        following = np.array([each["next_observations"] for each in there])
        assert (found["next_observations"][alive] == following[alive]).all()
    assert made.steps == len(expected)


def test_a_full_ring_keeps_all_but_the_room_of_a_fragment() -> None:
    made = buffer(1000)
    for seq in range(300):
        made.insert(message(fragment(np.random.default_rng(seq), 9, ends=0.0), seq))
    assert made.items == 900


def test_types_and_shapes_stay_those_of_the_first_fragment() -> None:
    arrays = fragment(np.random.default_rng(0), 5, 2, ends=0.3)
    arrays["observations"] = arrays["observations"].astype(np.uint8)
    arrays["final"] = arrays["final"].astype(np.uint8)
    arrays["log_probs"] = np.ones((5, 2), np.float16)
    made = buffer()
    made.insert(message(arrays))
    found = all_items(made)
    assert {name: array.dtype.name for name, array in found.items()} == {
        "observations": "uint8",
        "next_observations": "uint8",
        "actions": "int64",
        "log_probs": "float16",
        "rewards": "float32",
        "discounts": "float32",
    }


def test_several_observations_keep_their_names() -> None:
    arrays = fragment(np.random.default_rng(0), 5, ends=0.5)
    arrays["observations.camera"] = np.arange(6 * 12, dtype=np.uint8).reshape(6, 1, 3, 4)
    arrays["final.camera"] = np.full((int(arrays["truncated"].sum()), 3, 4), 255, np.uint8)
    made = buffer()
    made.insert(message(arrays))
    found = all_items(made)
    assert (found["observations.camera"] == arrays["observations.camera"][:-1, 0]).all()
    cut = arrays["truncated"][:, 0]
    assert (found["next_observations.camera"][cut] == 255).all()
    plain = ~(cut | arrays["terminated"][:, 0])
    assert (found["next_observations.camera"][plain] == arrays["observations.camera"][1:, 0][plain]).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 4), st.integers(1, 2), st.sampled_from([0.0, 0.3, 0.8]), st.integers(0, 999))
def test_stacks_of_frames_come_back_whole_from_frames_that_are_stored_once(
    stack: int, copies: int, ends: float, seed: int
) -> None:
    rng, made = np.random.default_rng(seed), buffer(500)
    for seq in range(6):
        arrays = fragment(rng, 7, copies, ends, width=1, base=1000 * seq + 1)
        del arrays["observations"], arrays["final"]
        frames = (1000 * seq + np.arange((7 + stack) * copies)).reshape(7 + stack, copies).astype(np.float32)
        cut = np.argwhere(arrays["truncated"])
        whole, following = whole_stacks(frames, arrays, stack)
        final = np.array([-frames[stack + t, c] for t, c in cut], np.float32)
        made.insert(message({**arrays, "observations": frames, "final": final}, seq))
        found = all_items(made)
        new = slice(made.items - 7 * copies, None)
        assert (found["observations"][new] == whole).all()
        alive = found["discounts"][new] > 0
        assert (found["next_observations"][new][alive] == following[alive]).all()
    assert made.ring.arrays["observations"].shape == (500,)


def whole_stacks(frames: Array, arrays: dict[str, Array], stack: int) -> tuple[Array, Array]:
    """The stack before and after every step, built one at a time as a wrapper of an environment does."""
    whole, following = [], []
    for c in range(frames.shape[1]):
        window = list(frames[:stack, c])
        for t in range(len(frames) - stack):
            whole.append(list(window))
            new = frames[stack + t, c]
            if arrays["truncated"][t, c]:
                following.append([*window[1:], -new])
            else:
                following.append([*window[1:], new])
            done = arrays["terminated"][t, c] or arrays["truncated"][t, c]
            window = [new] * stack if done else [*window[1:], new]
    return np.array(whole), np.array(following)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.integers(0, 5), st.integers(1, 2), st.sampled_from([0.0, 0.3]), st.integers(0, 999))
def test_sequences_cover_every_step_and_know_where_episodes_begin(
    length: int, overlap: int, copies: int, ends: float, seed: int
) -> None:
    overlap = min(overlap, length - 1)
    arrays = fragment(np.random.default_rng(seed), 11, copies, ends, base=1)
    arrays["states"] = arrays["observations"][:-1] * 10
    made = buffer(sequence_length=length, sequence_overlap=overlap)
    made.insert(message(arrays))
    found = all_items(made)
    seen = found["observations"][..., 0]
    assert (found["states"][:, 0] == 10 * seen[:, 0])[found["mask"][:, 0]].all()
    steps = seen[:, :-1][found["mask"]]
    assert set(steps) == set(arrays["observations"][:-1, :, 0].ravel())
    assert (seen[:, :-1][~found["mask"]] < 0).all()  # final observations, which begin no step
    begins = {float(arrays["observations"][t + 1, c, 0]) for t, c in np.argwhere(ended(arrays))}
    assert all((number in begins) == first for number, first in zip(seen.ravel(), found["first"].ravel(), strict=True))


def ended(arrays: dict[str, Array]) -> Array:
    done: Array = arrays["terminated"] | arrays["truncated"]
    return done


def test_a_fragment_shorter_than_a_sequence_is_refused() -> None:
    made = buffer(sequence_length=20)
    with pytest.raises(MisfitError, match="5 steps are fewer than the 20 of a sequence"):
        made.insert(message(fragment(np.random.default_rng(0), 5, ends=0.0)))


def test_a_repetition_is_dropped_and_a_new_start_of_an_actor_is_none() -> None:
    made, rng = buffer(), np.random.default_rng(0)
    first, second = fragment(rng, 4, ends=0.0), fragment(rng, 4, ends=0.0)
    assert made.insert(message(first, 0)) == 4
    assert made.insert(message(first, 0)) == 0
    assert made.insert(message(second, 1)) == 4
    assert made.insert(message(first, 0)) == 0
    assert made.insert(message(first, 0, incarnation=2)) == 4
    assert made.insert(message(first, 0, sender="actor/1")) == 4
    assert (made.doubles, made.steps, made.items) == (2, 16, 16)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"actions": np.zeros((4, 1), np.float32)}, "'actions' is float32"),
        ({"observations": np.zeros((5, 1, 7), np.float32)}, "'observations' is float32"),
        ({"more": np.zeros((4, 1))}, "'more' is float64"),
    ],
)
def test_another_schema_than_the_first_is_refused_and_changes_nothing(change: dict[str, Array], said: str) -> None:
    made, arrays = buffer(), fragment(np.random.default_rng(0), 4, ends=0.0)
    made.insert(message(arrays))
    with pytest.raises(MisfitError, match=said):
        made.insert(message({**arrays, **change}, 1))
    assert (made.items, made.steps) == (4, 4)


def test_a_truncated_episode_without_its_final_observation_is_refused() -> None:
    made, arrays = buffer(), fragment(np.random.default_rng(0), 4, ends=0.0)
    made.insert(message(arrays))
    arrays["truncated"] = np.ones((4, 1), np.bool_)
    with pytest.raises(MisfitError, match="'final' is float32"):
        made.insert(message(arrays, 1))
    assert made.items == 4


def test_names_that_batches_use_are_refused() -> None:
    arrays = {**fragment(np.random.default_rng(0), 4, ends=0.0), "weights": np.zeros((4, 1))}
    with pytest.raises(MisfitError, match="must not be called 'weights'"):
        buffer().insert(message(arrays))


def test_a_fragment_larger_than_the_ring_is_refused() -> None:
    with pytest.raises(MisfitError, match="takes 31 rows"):
        buffer(30).insert(message(fragment(np.random.default_rng(0), 30, ends=0.0)))


def test_a_capacity_beyond_the_budget_ends_with_the_numbers_that_fit() -> None:
    made = buffer(10_000_000, budget=2**29)
    with pytest.raises(Fatal, match=r"replay.capacity: 10000000 does not fit.*memory to .*Mi, or a capacity of 4,"):
        made.insert(message(fragment(np.random.default_rng(0), 4)))


def test_uniform_draws_are_uniform() -> None:
    made = buffer(200)
    for seq in range(60):
        made.insert(message(fragment(np.random.default_rng(seq), 9, ends=0.0), seq))
    drawn = np.concatenate([made.draw(500).items for _ in range(400)])
    assert drawn.min() == made.ring.first_item
    assert drawn.max() == made.ring.next_item - 1
    counts = np.bincount(drawn - made.ring.first_item)
    assert np.abs(counts / counts.mean() - 1).max() < 0.2


def test_prioritized_draws_follow_the_errors_and_their_exponent() -> None:
    made = buffer(100, priority_exponent=0.5)
    made.insert(message(fragment(np.random.default_rng(0), 60, ends=0.0)))
    magnitudes = np.random.default_rng(1).random(60)
    made.sampler.update(np.arange(60), magnitudes)
    expected = (magnitudes + 1e-6) ** 0.5
    expected /= expected.sum()
    draws = [made.draw(256) for _ in range(1000)]
    counts = np.bincount(np.concatenate([each.items for each in draws]), minlength=60)
    assert counts / counts.sum() == pytest.approx(expected, abs=1e-3)
    assert draws[0].probabilities == pytest.approx(expected[draws[0].items])


def test_overwritten_items_are_never_drawn_by_priority() -> None:
    made, rng = buffer(64, priority_exponent=1.0), np.random.default_rng(0)
    for seq in range(80):
        made.insert(message(fragment(rng, int(rng.integers(1, 9))), seq))
        drawn = made.draw(64)
        assert made.ring.live(drawn.items).all()
        made.sampler.update(drawn.items, rng.random(64) * 5)
