"""Names of a run that KubeRay starts: the limits that only its operator checks, after an object was taken."""

import re

from surreal.orchestrator.backends.kube import names
from surreal.orchestrator.plan.model import Plan
from surreal.protocol.errors import InvalidInput
from surreal.provisioner.kube.kinds import INSTANCE, MANAGED_BY

OWNER = "surreal-kuberay"
"""The manager in the labels: runs that are Jobs are told apart from these by it."""
LONGEST, LONGEST_GROUP = 47, 63
"""Characters of a RayJob's name, which a cluster's name is longer than, and of a label's value."""
ATTEMPT_VARIABLE = "SURREAL_ATTEMPT"
"""Variable of the head with the number of the attempt."""
HOME = "/surreal"
"""SURREAL_HOME on the head: the run folder is HOME/ray/NAME there, and seen at names.RUN_FOLDER too."""
DOCUMENTS = "/etc/surreal/documents"
"""Folder with the experiment, the plan and the code, mounted on the head."""
PLAN_KEY, EXPERIMENT_KEY, CODE_KEY = names.PLAN_KEY, names.EXPERIMENT_KEY, names.CODE_KEY
DASHBOARD_PORT, GCS_PORT, CLIENT_PORT = 8265, 6379, 10001
HEAD = "ray-head"
"""Component of the head's pod, which is no role."""
_LABEL_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


def labels(name: str, run: str, component: str | None = None) -> dict[str, str]:
    """Return the labels of an object of a run."""
    return {**names.labels(name, run, component), MANAGED_BY: OWNER}


def selector(name: str, component: str | None = None) -> dict[str, str]:
    """Return the labels by which the pods of a run, or of one role, are found."""
    return {MANAGED_BY: OWNER, INSTANCE: name, **({names.COMPONENT: component} if component else {})}


def documents(name: str) -> str:
    """Return the ConfigMap with the experiment and the plan."""
    return f"{name}-documents"


def check_names(plan: Plan) -> None:
    """Raise InvalidInput for names that KubeRay's operator would refuse once the RayJob is there."""
    name = plan.name
    if len(name) > LONGEST:
        raise InvalidInput(
            f"metadata.name: {name!r} has {len(name)} characters, and a RayJob has {LONGEST} at most. "
            "Take a shorter one."
        )
    if not _LABEL_1035.fullmatch(name):
        raise InvalidInput(
            f"metadata.name: {name!r} begins with a digit or has a dot, which no RayJob may. Take run-{name}."
        )
    for role in plan.roles:
        if role.name == HEAD or len(role.name) > LONGEST_GROUP or not _LABEL_1035.fullmatch(role.name):
            raise InvalidInput(
                f"spec.roles: {role.name!r} cannot be the name of a worker group. Take small letters, digits and "
                f"hyphens, at most {LONGEST_GROUP}, and not {HEAD}."
            )
