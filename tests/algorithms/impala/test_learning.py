"""Does IMPALA learn what it is said to learn? A minute each; run with -m slow."""

from pathlib import Path

import pytest

from tests.algorithms.ppo.test_learning import train

pytestmark = pytest.mark.slow
LAG = (
    *("artificial_lag=20", "total_steps=150_000", "stop_at_return=null", "optimizer=adam", "learning_rate=3e-3"),
    *("batch_fragments=2", "replay_ratio=0", "entropy_coef=0.01", "evaluate_episodes=10"),
)


def test_cartpole_is_solved_on_five_of_five_seeds(tmp_path: Path) -> None:
    for seed in range(1, 6):
        last = train(tmp_path, "cartpole-impala", seed)[-1]
        assert last["episode_return"] >= 475 and last["steps"] <= 500_000


@pytest.mark.timeout(1800)
def test_with_weights_twenty_updates_old_v_trace_holds_what_the_learner_without_correction_loses(
    tmp_path: Path,
) -> None:
    ends = {}
    for correction in ("vtrace", "none"):
        settings = (*LAG, f"correction={correction}")
        runs = [train(tmp_path / correction, "cartpole-impala", seed, settings) for seed in (1, 2, 3)]
        assert all(15 <= run[-1]["staleness"] <= 40 for run in runs)
        ends[correction] = [run[-1]["episode_return"] for run in runs]
    assert min(ends["vtrace"]) >= 475 > max(ends["none"])
