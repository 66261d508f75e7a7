"""What Kubernetes does when a worker exits is what the supervisor does on one machine."""

from functools import cache
from typing import Any

import pytest

from surreal.orchestrator.backends.kube.manifests.pod import tries
from surreal.orchestrator.backends.restart_policy import Backoff, Verdict, decide, feeds_the_run
from surreal.orchestrator.plan.model import Plan
from surreal.protocol.errors import ExitCode
from tests.orchestrator.kube.rendered import everything, jobs, objects

ROLES = ("learner", "actor", "evaluator", "weights-relay")
SIGNALS = (137, 139, 143)
"""As a container's exit code shows a death by SIGKILL, SIGSEGV and SIGTERM."""


@cache
def plan() -> Plan:
    return everything()


@cache
def job_of(role: str) -> Any:
    return jobs(objects(plan()))[role]


def action(job: Any, code: int) -> str:
    """What a Job's podFailurePolicy says of an exit code; what no rule says is counted."""
    rules = [rule for rule in job["podFailurePolicy"]["rules"] if code in rule.get("onExitCodes", {}).get("values", ())]
    return str(rules[0]["action"]) if rules else "Count"


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("code", [*(code for code in ExitCode if code != ExitCode.DONE), *SIGNALS])
def test_exit_codes_decide_as_on_one_machine(role: str, code: int) -> None:
    planned = plan().role(role)
    verdict = decide(planned, code, feeds_the_run(plan(), role), Backoff())
    same = {
        "Ignore": {Verdict.AGAIN},
        "Count": {Verdict.AGAIN},
        "FailJob": {Verdict.FAIL, Verdict.RETIRE, Verdict.STOP},
    }
    assert verdict in same[action(job_of(role), code)]
    assert (action(job_of(role), code) == "Ignore") == (code == ExitCode.PREEMPTED)


@pytest.mark.parametrize("role", ROLES)
def test_a_disruption_is_never_counted_and_each_index_has_its_own_tries(role: str) -> None:
    job, planned = job_of(role), plan().role(role)
    first = job["podFailurePolicy"]["rules"][0]
    assert first == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    assert job["podReplacementPolicy"] == "Failed"
    assert job["backoffLimitPerIndex"] == tries(planned) == (1000 if planned.expendable else 20)
    assert job.get("maxFailedIndexes") == (None if planned.expendable else 0)
