"""What every backend promises, of real runs. In a cluster: SURREAL_E2E_CONTEXT=CONTEXT pytest -m e2e."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from surreal.orchestrator.run.status import Status
from surreal.protocol.errors import InvalidInput, NotFound
from tests.orchestrator.kube.small_run import CONTEXT
from tests.orchestrator.ray.small_cluster import SmallCluster
from tests.orchestrator.sites import Cluster, Here, Site, cluster, create, pole, when

ENDLESS = 100_000_000
needs_cluster = [
    pytest.mark.e2e,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not CONTEXT, reason="needs a cluster: SURREAL_E2E_CONTEXT names its context"),
]


@pytest.fixture(
    params=[
        "here",
        pytest.param("ray", marks=[pytest.mark.slow, pytest.mark.timeout(400)]),
        pytest.param("privileged", marks=needs_cluster),
        pytest.param("restricted", marks=needs_cluster),
    ]
)
def site(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """This machine, a Ray cluster on it, and namespaces that enforce nothing and everything."""
    monkeypatch.setenv("SURREAL_HOME", str(tmp_path / "home"))
    if request.param == "ray":
        ray: SmallCluster = request.getfixturevalue("ray_cluster")
        yield ray
        for name in ray.backend.names():
            ray.backend.delete(name)
        return
    if request.param != "here":
        with cluster(request.param, tmp_path) as found:
            yield found
        return
    here = Here()
    yield here
    for name in here.backend.names():
        here.backend.delete(name)


def running(site: Site, name: str) -> Status:
    """The status once it trains with all its processes."""
    return when(
        site,
        name,
        "all run",
        lambda status: (
            status.progress.steps and all(each.state == "running" for role in status.roles.values() for each in role)
        ),
    )


@pytest.mark.parametrize("bar", [40, pytest.param(475, marks=pytest.mark.slow)])
def test_cartpole_is_learned_to_the_end_and_a_deleted_run_leaves_nothing(site: Site, bar: int) -> None:
    name = create(site, pole("pole", stop_at_return=bar))
    over = when(site, name, "the run ends", lambda status: status.over, 300)
    assert (over.state, over.reason) == ("succeeded", f"its return reached stop_at_return, {bar}")
    assert over.progress.episode_return and over.progress.episode_return >= bar
    # the learner's end is the run's; the others hear of it and end a moment later
    when(
        site,
        name,
        "every process is done",
        lambda status: {each.state for role in status.roles.values() for each in role} == {"done"},
    )
    said = {line.source for line in site.backend.logs(name) if line.source != "supervisor"}
    assert said == {"learner/0", "actor/0", "actor/1", "evaluator/0"}
    site.backend.delete(name)
    assert site.left(name, over) == []
    with pytest.raises(NotFound, match="no experiment 'pole'"):
        site.backend.status(name)


def test_who_is_killed_is_replaced_alone_and_the_run_goes_on(site: Site) -> None:
    name = create(site, pole("pole", total_steps=ENDLESS))
    for role in ("actor", "evaluator", "learner"):
        before = running(site, name)
        site.kill(before, role)
        when(site, name, f"{role} is replaced", lambda status: status.roles[role][0].restarts)  # noqa: B023
        after = running(site, name)
        when(site, name, "it learns on", lambda status: status.progress.steps > after.progress.steps)  # noqa: B023
    restarts = {role: [each.restarts for each in processes] for role, processes in after.roles.items()}
    assert restarts == {"learner": [1], "actor": [1, 0], "evaluator": [1]}


@pytest.mark.slow
def test_learners_that_share_a_run_go_on_together_when_one_is_killed(site: Site) -> None:
    shared = pole("pole", total_steps=ENDLESS)
    shared["spec"]["roles"]["learner"]["replicas"] = 2
    name = create(site, shared)
    for index in (1, 0):
        before = running(site, name)
        counted = before.roles["learner"][index].restarts
        site.kill(before, "learner", index)
        when(site, name, "it is replaced", lambda status: status.roles["learner"][index].restarts > counted)  # noqa: B023
        after = running(site, name)
        assert after.progress.steps >= before.progress.steps
        when(site, name, "it learns on", lambda status: status.progress.steps > after.progress.steps)  # noqa: B023
    assert after.state == "running" and [each.restarts > 0 for each in after.roles["learner"]] == [True, True]


def test_a_stopped_run_goes_on_where_it_was(site: Site) -> None:
    name = create(site, pole("pole", total_steps=ENDLESS))
    before = running(site, name)
    assert site.backend.stop(name)
    assert not site.backend.stop(name)
    stopped = site.backend.status(name)
    assert stopped.state == "stopped" and not any(each.pid for role in stopped.roles.values() for each in role)
    site.backend.resume(name)
    assert running(site, name).progress.steps >= before.progress.steps
    when(site, name, "it learns on", lambda status: status.progress.steps > stopped.progress.steps)
    assert {"metrics", "checkpoints"} <= {file.partition("/")[0] for file in site.backend.files(name)}
    with pytest.raises(InvalidInput, match="pole:? is running: nothing to resume"):
        site.backend.resume(name)


def test_a_name_is_given_once(site: Site) -> None:
    name = create(site, pole("pole", total_steps=ENDLESS))
    with pytest.raises(InvalidInput, match="pole"):
        create(site, pole("pole", total_steps=1000))
    assert site.backend.names() == [name]
    assert running(site, name).progress.total_steps == ENDLESS


@pytest.mark.parametrize("site", [pytest.param("restricted", marks=needs_cluster)], indirect=True)
def test_an_evicted_learner_comes_back_from_its_checkpoint_and_nothing_is_counted_against_it(site: Cluster) -> None:
    name = create(site, pole("pole", total_steps=ENDLESS))
    before = running(site, name)
    site.evict(name, "learner")
    when(site, name, "the learner is replaced", lambda status: status.roles["learner"][0].restarts)
    assert running(site, name).progress.steps >= before.progress.steps
    job = site.api.get("Job", f"{name}-learner")
    assert not job["status"].get("failed")


@pytest.mark.parametrize("site", [pytest.param("restricted", marks=needs_cluster)], indirect=True)
def test_a_run_in_a_cluster_learns_bit_for_bit_what_it_learns_here(site: Cluster) -> None:
    """With the newest weights only and processes that do not die, arithmetic is all that could differ."""
    ends = []
    for place in (Here(), site):
        name = create(place, pole("exact", total_steps=20_000, max_staleness=0))
        ends.append(when(place, name, "the run ends", lambda status: status.over, 300).progress)
        place.backend.delete(name)
    here, there = ends
    assert (here.steps, here.updates, here.episode_return) == (there.steps, there.updates, there.episode_return)
