"""A run that records: what its actors wrote is there after a kill, and becomes one dataset that minari reads."""

import os
import signal
from pathlib import Path

import pytest
from click.testing import CliRunner
from minari.dataset.minari_dataset import MinariDataset as Theirs

from surreal.algorithms.datasets.recordings import RecordedDataset
from surreal.cli.commands.experiment.offline import collect
from surreal.orchestrator.backends.local.backend import LocalBackend
from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.plan.make import make_plan
from tests.orchestrator.documents import minimal
from tests.orchestrator.plan.test_plan import LAPTOP
from tests.orchestrator.runs import create, ended, pid, until


@pytest.mark.slow
def test_a_killed_actor_loses_no_episode_that_was_written(place: LocalBackend, tmp_path: Path) -> None:
    config = {"total_steps": 6_000, "fragment_steps": 32}
    document = minimal(algorithm={"name": "ppo", "config": config}, roles={"actor": {"replicas": 1}}, record={})
    name = create(place, make_plan(Experiment.from_data(document), [LAPTOP]))
    journal = Path(place.status(name).folder, "datasets", "cart-actor-0-1.journal")
    until(lambda: journal.exists() and journal.stat().st_size > 20_000, "episodes are written")
    os.kill(pid(place, name, "actor"), signal.SIGKILL)
    written = len(RecordedDataset(journal.parent))
    assert written >= 1
    assert ended(place, name).state == "succeeded"
    assert {path.name for path in journal.parent.glob("*.journal")} == {
        f"cart-actor-0-{start}.journal" for start in (1, 2)
    }
    whole = RecordedDataset(journal.parent)
    assert len(whole) > written
    done = CliRunner().invoke(collect, [str(journal.parent), "--to", str(tmp_path / "made"), "--id", "cart/all-v0"])
    assert done.exit_code == 0, done.output
    assert Theirs(tmp_path / "made" / "data").total_episodes == len(whole)
    assert sum(len(whole[number]) for number in range(len(whole))) == whole.about.steps
