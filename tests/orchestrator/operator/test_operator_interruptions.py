"""An operator that dies at whatever request: the next one finishes its work, once, and nothing is left behind."""

import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from surreal.orchestrator.backends.kube.names import ATTEMPT, RUN
from surreal.protocol.errors import SurrealError
from surreal.provisioner.kube.together import together
from tests.orchestrator.kube.apiserver import NAMESPACE
from tests.orchestrator.kube.test_interruptions import Killed, dies_after
from tests.orchestrator.operator.cluster import NAME, Cluster, cluster

Act = Callable[[Cluster], None]


def _settled(place: Cluster) -> None:
    place.apply()
    place.reconcile()


def _stopped(place: Cluster) -> None:
    _settled(place)
    place.patch(suspend=True)
    place.reconcile()
    place.patch(suspend=False)


def _to_scale(place: Cluster) -> None:
    _settled(place)
    place.patch(replicas=4)


def _to_stop(place: Cluster) -> None:
    _settled(place)
    place.patch(suspend=True)


def _to_begin(place: Cluster) -> None:
    place.apply()


PREPARED: dict[str, Act] = {
    "begin": _to_begin,
    "stop": _to_stop,
    "resume": _stopped,
    "scale": _to_scale,
}
EVERY = range(1, 200)
SOME = {"begin": (3, 16, 25, 34), "stop": (7, 9), "resume": (7, 11, 18), "scale": (12, 19, 20)}
"""Requests at which the suite lets an operator die; the slow test takes every one."""


def dies(place: Cluster, request: int) -> bool:
    """Let an operator die after so many requests; False if it needed fewer."""
    try:
        place.settle(place.reconciler(dies_after(place.server, request)))
    except Killed:
        return True
    return False


def check(place: Cluster, act: str) -> None:
    """What the next operator makes of it is what one alone would have made."""
    place.reconcile()
    place.reconcile()
    place.check_whole()
    root = place.root()["annotations"]
    actors = place.store.get("Job", NAMESPACE, f"{NAME}-actor")["spec"]
    assert root[ATTEMPT] == ("2" if act in ("resume", "scale") else "1")
    assert bool(actors.get("suspend")) == (act == "stop")
    assert actors["completions"] == (4 if act == "scale" else 2)
    assert len(place.store.names("Secret")) == 1
    learner = place.store.get("Job", NAMESPACE, f"{NAME}-learner")["metadata"]["labels"][RUN]
    assert learner == place.root()["labels"][RUN]


def let_die(folder: Path, act: str, request: int) -> bool:
    """One death, and what comes of it; False if there were fewer requests."""
    with cluster(folder, runs_jobs=True) as place:
        PREPARED[act](place)
        died = dies(place, request)
        check(place, act)
        place.person.delete("Experiment", NAME)
        place.store.await_names([each for each in place.store.names() if each.startswith("Event/")])
    return died


@pytest.mark.parametrize(("act", "request_number"), [(act, number) for act in SOME for number in SOME[act]])
def test_the_next_operator_finishes_what_one_that_died_began(tmp_path: Path, act: str, request_number: int) -> None:
    assert let_die(tmp_path, act, request_number)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("act", PREPARED)
def test_it_does_so_after_a_death_at_every_request(tmp_path: Path, act: str) -> None:
    requests = next(number for number in EVERY if not let_die(tmp_path, act, number))
    assert requests > 8


def both(place: Cluster) -> None:
    """Two operators look at once, neither of which knows of the other."""
    together(lambda operator: operator.reconcile(NAME), [place.reconciler(), place.reconciler()])


@pytest.mark.parametrize("act", ["begin", "scale"])
def test_two_operators_at_once_make_what_one_would(tmp_path: Path, act: str) -> None:
    with cluster(tmp_path, runs_jobs=True) as place:
        PREPARED[act](place)
        both(place)
        check(place, act)
        place.person.delete("Experiment", NAME)
        place.store.await_names([each for each in place.store.names() if each.startswith("Event/")])


def test_deleted_while_an_operator_makes_it_nothing_stays(tmp_path: Path) -> None:
    for request in (8, 20, 32):
        with cluster(tmp_path, runs_jobs=True) as place:
            place.apply()
            dies(place, request)
            place.person.delete("Experiment", NAME)
            place.reconcile()
            place.store.await_names([each for each in place.store.names() if each.startswith("Event/")])


def test_an_operator_that_goes_on_after_the_deletion_orphans_nothing(tmp_path: Path) -> None:
    with cluster(tmp_path, runs_jobs=True) as place:
        place.apply()
        api = place.server.api()
        real, left = api._transport.document, 24

        def document(*arguments: object) -> object:
            nonlocal left
            left -= 1
            if left == 0:
                place.person.delete("Experiment", NAME)
            return real(*arguments)  # type: ignore[arg-type]

        api._transport.document = document  # type: ignore[method-assign,assignment]
        with pytest.raises(SurrealError):
            # there is no status any more to write
            place.reconciler(api).reconcile(NAME)
        place.reconcile()
        place.store.await_names([each for each in place.store.names() if each.startswith("Event/")])


@pytest.fixture
def dice() -> random.Random:
    """Dice of a seed that a failure shows."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    return random.Random(seed)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_hundred_random_interleavings_orphan_nothing(tmp_path: Path, dice: random.Random) -> None:
    with cluster(tmp_path, runs_jobs=True) as place:
        for _ in range(200):
            place.apply()
            for _ in range(dice.randrange(1, 5)):
                edit(place, dice)
                dies(place, dice.randrange(1, 60))
            place.person.delete("Experiment", NAME)
            dies(place, dice.randrange(1, 20))
            place.store.await_names([each for each in place.store.names() if each.startswith("Event/")])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_operators_at_once_orphan_nothing_whatever_a_person_does_meanwhile(
    tmp_path: Path, dice: random.Random
) -> None:
    with cluster(tmp_path, runs_jobs=True) as place:

        def look() -> None:
            # what one removes, the other may miss
            with suppress(SurrealError):
                place.reconciler().reconcile(NAME)

        def act(step: Callable[[], None]) -> None:
            step()

        def remove() -> None:
            place.person.delete("Experiment", NAME)

        for _ in range(50):
            place.apply()
            for _ in range(dice.randrange(1, 4)):
                together(act, [look, look, lambda: edit(place, dice)])
            together(act, [look, look, remove])
            look()
            place.store.await_names([each for each in place.store.names() if each.startswith("Event/")])


def edit(place: Cluster, dice: random.Random) -> None:
    """One change of a person."""
    match dice.randrange(3):
        case 0:
            place.patch(suspend=bool(dice.getrandbits(1)))
        case 1:
            place.patch(replicas=dice.randrange(1, 6))
        case 2:
            pods = place.store.names("Pod")
            if pods:
                place.person.delete("Pod", dice.choice(pods))
