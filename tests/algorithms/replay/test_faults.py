"""Kills of shards, actors and the learner: what was acknowledged is there, once, and the run goes on."""

import random
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from surreal.algorithms.replay.buffer import ReplayBuffer
from surreal.algorithms.replay.config import ReplaySettings
from surreal.algorithms.replay.snapshots import Snapshots
from tests.algorithms.fabric import wait_for
from tests.algorithms.replay.shards import ReplayRun

INTERVAL = 1.0
STEPS = 16
CONFIG: dict[str, Any] = {
    "batch": 32,
    "batches": 10**9,
    "updates_per_step": 0.05,
    "pause": 0.01,
    "replay": {
        "capacity": 2_000_000,
        "min_size": 500,
        "snapshot_seconds": INTERVAL,
        "priority_exponent": 0.6,
    },
}
Fragment = tuple[int, int, int]
"""Actor, its incarnation, its fragment."""
Kill = tuple[float, str, float]
"""When a worker died, its name, and since when every item that came to it may be lost; times as `time.time()` says."""


def stored(run: ReplayRun, shard: int) -> Counter[tuple[int, ...]]:
    """How often each step (actor, incarnation, fragment, step) is in the snapshot of a shard."""
    settings = ReplaySettings.of(run.config, run.replicas["replay"])
    buffer = ReplayBuffer(settings, np.random.default_rng(0))
    Snapshots(run.folder / "state" / f"replay-{shard}" / "replay", 1.0).restore(buffer)
    items = np.arange(buffer.ring.first_item, buffer.ring.next_item)
    out = {name: np.empty((len(items), *field.shape), field.dtype) for name, field in buffer.layout.items()}
    buffer.fill(items, out)
    return Counter(map(tuple, out["observations"].astype(int).tolist()))


def check_nothing_lost(run: ReplayRun, kills: list[Kill], there: dict[int, Counter[Any]]) -> int:
    """Check every acknowledged fragment that is not there: its shard died soon after. Return how many are there."""
    sent: dict[tuple[int, int, int], list[int]] = {}
    kept, checked = 0, Counter[tuple[int, int, int]]()
    for moment, actor, life, fragment, own, counts in run.lines("acknowledged.log"):
        sent.setdefault((actor, life, own), []).append(fragment)
        for shard, acknowledged in enumerate(counts):
            key = (actor, life, shard)
            for number in sent.get(key, [])[checked[key] : acknowledged]:
                if all(there[shard][actor, life, number, step] == 1 for step in range(STEPS)):
                    kept += 1
                    continue
                deaths = [(since, at) for at, name, since in kills if name == f"replay-{shard}"]
                assert any(since < moment <= at + 60 for since, at in deaths), (key, number, moment, deaths)
            checked[key] = max(acknowledged, checked[key])
    return kept


def check_no_two_names(run: ReplayRun) -> None:
    """Check that within a life of a shard an id is one item, and an item has one id."""
    names: dict[int, tuple[int, ...]] = {}
    ids: dict[tuple[int, ...], int] = {}
    for _, *rows in run.lines("sampled.log"):
        for *item, number in rows:
            assert names.setdefault(number, tuple(item)) == tuple(item)
            assert ids.setdefault((number >> 40, *item), number) == number


def kill_at_random(run: ReplayRun, count: int, seed: int) -> list[Kill]:
    """Kill workers and start them again, each when the run samples."""
    rng, kills = random.Random(seed), list[Kill]()
    # every role once, then any
    names = ["replay-0", "learner-0", "actor-1", "replay-1"]
    names += [rng.choice(["replay-0", "replay-1", "replay-1", "actor-0", "actor-1", "learner-0"]) for _ in range(count)]
    rng.shuffle(first := names[:4])
    for name in [*first, *names[4:]][:count]:
        before = run.batches()
        wait_for(lambda: run.batches() > before + 3)  # noqa: B023
        time.sleep(rng.random() * 1.5 * INTERVAL)
        run.kill(name)
        kills.append((time.time(), name, may_be_lost_since(run.folder / "state" / name / "replay")))
        role, index = name.split("-")
        run.start(role, int(index))
    return kills


def may_be_lost_since(folder: Path) -> float:
    """Return when the last snapshot but one was whole: the last one began later, and holds all that came before."""
    written = sorted(path.stat().st_mtime for path in folder.glob("index-*"))
    return written[-2] if len(written) > 1 else 0.0


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("kills", [6, pytest.param(50, marks=pytest.mark.slow)])
def test_kills_lose_no_acknowledged_item_beyond_the_interval_and_double_none(folder: Path, kills: int) -> None:
    with ReplayRun(folder, CONFIG, shards=2, actors=2) as run:
        run.start_all()
        killed = kill_at_random(run, kills, seed=kills)
        before = run.batches()
        wait_for(lambda: run.batches() > before + 3)
        for shard in range(2):
            name = f"replay-{shard}"
            wait_for(lambda: "travel" in run.log(name)[run.log_at[name] :])  # noqa: B023
            run.workers[f"replay-{shard}"].send_signal(signal.SIGTERM)
        assert [run.workers[f"replay-{shard}"].wait(120) for shard in range(2)] == [4, 4], run.log("replay-0")
        there = {shard: stored(run, shard) for shard in range(2)}
        assert max((there[0] + there[1]).values()) == 1
        assert check_nothing_lost(run, killed, there) > 100
        check_no_two_names(run)
        for shard in range(2):
            run.start("replay", shard)
        (folder / "enough").write_text(str(run.batches()))
        assert run.workers["learner-0"].wait(120) == 0, run.log("learner-0")
        assert [run.workers[f"replay-{shard}"].wait(120) for shard in range(2)] == [0, 0]


def test_a_learner_goes_on_with_the_other_shards_while_one_is_away_and_takes_it_back(folder: Path) -> None:
    with ReplayRun(folder, CONFIG, shards=3, actors=2) as run:
        run.start_all()
        wait_for(lambda: run.batches() > 5)
        run.kill("replay-1")
        wait_for(lambda: "replay/1 does not answer: batches go on without it" in run.log("learner-0"))
        before = run.batches()
        wait_for(lambda: run.batches() > before + 3)
        run.start("replay", 1)
        wait_for(lambda: "replay/1 answers again" in run.log("learner-0"))
        before = len(run.lines("sampled.log"))
        wait_for(lambda: any(row[-1] >> 55 == 1 for _, *rows in run.lines("sampled.log")[before:] for row in rows))


def test_a_learner_says_that_it_waits_while_all_shards_are_away(folder: Path) -> None:
    with ReplayRun(folder, CONFIG, shards=1, actors=1) as run:
        run.start_all()
        wait_for(lambda: run.batches() > 5)
        run.kill("replay-0")
        wait_for(lambda: "waiting for replay/0" in run.log("learner-0"))
        before = run.batches()
        run.start("replay", 0)
        wait_for(lambda: run.batches() > before + 3)
