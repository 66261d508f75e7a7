"""In a real cluster: the first useful sentence about what keeps a run from running."""

from collections.abc import Callable

import pytest

from surreal.orchestrator.backends.kube.status.explain import reasons
from surreal.orchestrator.backends.kube.status.snapshot import Snapshot
from surreal.orchestrator.backends.kube.status.status import status_of
from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.kinds import Object
from tests.orchestrator.kube import small_run
from tests.orchestrator.kube.small_run import namespace, needs_cluster, start, when

pytestmark = [pytest.mark.e2e, needs_cluster]
WAITS = "import time; time.sleep(600)"


def said(role: str, words: str) -> Callable[[Snapshot], bool]:
    """Does a role's sentence hold these words?"""

    def holds(seen: Snapshot) -> bool:
        return words in reasons(seen).get(role, "")

    return holds


def test_a_quota_is_named_with_its_numbers() -> None:
    hard: Object = {"metadata": {"name": "team"}, "spec": {"hard": {"pods": "1"}}}
    with namespace() as api:
        api.post("ResourceQuota", {"apiVersion": "v1", "kind": "ResourceQuota", **hard})
        when_counted(api)
        start(api, {"actor": WAITS})
        seen = when(api, "the quota is named", said("actor", "quota team: each asks pods 1 more, 1 of 1 used"))
        assert reasons(seen)["actor"].startswith("1 of 2: ")
        assert seen.events, "and nothing but an event has said so"


def test_an_image_that_cannot_be_pulled_is_named_with_the_registrys_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small_run, "IMAGE", "registry.invalid/team/surreal:1.0")
    with namespace() as api:
        start(api, {"learner": WAITS})
        seen = when(api, "the image is named", said("learner", "cannot pull registry.invalid/team/surreal:1.0: "))
        assert "no such host" in reasons(seen)["learner"] and status_of(seen).state == "pending"


def test_a_crash_is_told_with_its_last_words_and_counted() -> None:
    ends = "open('/dev/termination-log', 'w').write('one\\nRuntimeError: no luck'); raise SystemExit(1)"
    with namespace() as api:
        start(api, {"learner": WAITS, "evaluator": ends})
        told = "failed (exit 1): RuntimeError: no luck; restarts after the 1st failure"
        seen = when(api, "the crash is told", said("evaluator", told))
        assert status_of(seen).roles["evaluator"][0].restarts == 0
        again = when(api, "it is restarted", lambda seen: status_of(seen).roles["evaluator"][0].restarts)
        assert status_of(again).state in ("pending", "running")


def when_counted(api: Api) -> None:
    """Wait until the quota holds: the API server lets pods pass before it has counted those that are there."""
    for quotas in api.watch("ResourceQuota", seconds=30):
        if quotas and quotas[0].get("status", {}).get("used"):
            return
