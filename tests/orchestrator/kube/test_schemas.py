"""Every object against the JSON schemas of Kubernetes itself, of the oldest version we run on and of the newest."""

import copy

import kubernetes_validate
import pytest

from surreal.provisioner.kube.kinds import Object
from tests.orchestrator.kube.rendered import everything, example, jobs, objects, queued

VERSIONS = ("1.33", kubernetes_validate.utils.major_minor(kubernetes_validate.latest_version()))
NEW_IN_1_34 = ("resourceClaims", "hostnameOverride", "restartPolicyRules", "fileKeyRef")
"""Fields of pods that are no general availability of 1.33, of those that a schema has anyway."""


def known(found: list[Object]) -> list[Object]:
    """The objects, with the Jobs of a JobSet in its place: its schema is not Kubernetes' own."""
    inner = [
        {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": role}, "spec": job}
        for role, job in jobs(found).items()
    ]
    return [each for each in found if each["kind"] not in ("Job", "JobSet")] + inner


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("plan", [example, everything, queued])
def test_every_object_is_one_of_the_api(plan: object, version: str) -> None:
    assert callable(plan)
    for each in known(objects(plan())):
        kubernetes_validate.validate(each, version, strict=True)
        assert not any(f"'{field}'" in str(each) for field in NEW_IN_1_34)


def test_the_check_sees_a_field_that_does_not_exist() -> None:
    spoiled = copy.deepcopy(known(objects(example()))[-1])
    spoiled["spec"]["template"]["spec"]["containers"][0]["immage"] = "x"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(spoiled, VERSIONS[0], strict=True)
