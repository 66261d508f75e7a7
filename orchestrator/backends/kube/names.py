"""Names in a cluster: objects, labels, annotations, folders and ports, each in this place only."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import version

from surreal.protocol.errors import InvalidInput
from surreal.provisioner.kube.kinds import INSTANCE, MANAGED_BY, OWNER

COMPONENT = "app.kubernetes.io/component"
"""The label with the role's name."""
RUN = "surreal.dev/run"
"""The label that tells two experiments of one name apart: 8 hexadecimal digits, new with each `create`."""
ZERO_RUN_ID = "0" * 8
"""Stands for the id of a run in manifests that are not sent; `create` draws a random one."""

ROOT = "surreal.dev/root"
"""The label ("true") that only roots have: a listing of roots then does not carry the code of every experiment."""

USER = "surreal.dev/user"
PLAN_DIGEST = "surreal.dev/plan-digest"
ATTEMPT = "surreal.dev/attempt"
"""Annotation of the root and of the pod templates: 1, and one more for each resume."""
CREATED = "surreal.dev/created"
"""Annotation of the root, set when all objects are there: when that was, ISO 8601 in UTC."""
STOPPED = "surreal.dev/stopped"
"""Annotation of the root from `stop` to `resume`: when it was stopped, ISO 8601 in UTC."""
FAILED = "surreal.dev/failed"
"""Annotation of the root of a run that the operator has ended: why. A resume removes it."""
SUSPENDED_BY = "surreal.dev/suspended-by"
"""Annotation of the root of a run that its Experiment has stopped. The patch that begins another attempt removes it."""
EXPERIMENT = "surreal.dev/experiment"
"""Annotation of the root of a run that an Experiment of the cluster has: the uid of that."""
SPEC_DIGEST = "surreal.dev/spec-digest"
"""Annotation of such a root: a hash of the spec that the run was made from."""
CHANGED = "surreal.dev/changed"
"""Annotation of the root from a change of the run's experiment to `resume`: when it was changed."""
OUTCOME = "surreal.dev/outcome"
"""Annotation of the claim: how the run ended, for when its Jobs are gone. Written by who first sees the end."""
PROGRESS = "surreal.dev/progress"
"""Annotation of the root and of the claim: how far the run was when its pods went, as a row of metrics.jsonl."""
FAILURES = "batch.kubernetes.io/job-index-failure-count"
IGNORED = "batch.kubernetes.io/job-index-ignored-failure-count"
"""Annotations that Kubernetes gives a pod: how often its index failed before, counted or not."""

WORKER = "worker"
"""The container of every pod that runs a process of the experiment."""
UNPACK = "code"
"""The init container that unpacks one's own code."""
USER_ID = 10001

WIRING_FOLDER = "/etc/surreal/wiring"
KEYS_FOLDER = "/etc/surreal/keys"
CODE_ARCHIVE_FOLDER = "/etc/surreal/code"
START_FOLDER = "/etc/surreal/start"
CODE_FOLDER = "/surreal/code"
RUN_FOLDER = "/surreal/run"
TERMINATION = "/dev/termination-log"

CONTROL_PORT = 5600
"""The control port; each channel has one of the next, in the plan's order."""
METRICS_PORT = "metrics"
"""The name of the /metrics port in the pod that serves it, so that monitors find it."""

PLAN_KEY, EXPERIMENT_KEY = "plan.json", "experiment.yaml"
"""Keys of the root."""
CODE_KEY, START_KEY = "code.tar.gz", "start.tar.gz"

MAX_HOST = 63
"""Characters of a host name, of a pod's name and of a label's value."""


def labels(name: str, run: str, role: str | None = None) -> dict[str, str]:
    """Return the labels of an object of an experiment, and of its role where it has one."""
    own = {COMPONENT: role} if role else {}
    return {
        "app.kubernetes.io/name": "surreal",
        INSTANCE: name,
        "app.kubernetes.io/version": _version(),
        **own,
        "app.kubernetes.io/part-of": "surreal",
        MANAGED_BY: OWNER,
        RUN: run,
    }


@cache
def _version() -> str:
    return version("surreal")


def selector(name: str, role: str | None = None) -> dict[str, str]:
    """Return the labels by which the pods of an experiment, or of one role, are found."""
    return {MANAGED_BY: OWNER, INSTANCE: name, **({COMPONENT: role} if role else {})}


def query(wanted: Mapping[str, str]) -> str:
    """Write a label selector as the API takes it."""
    return ",".join(f"{key}={value}" for key, value in wanted.items())


def job(name: str, role: str) -> str:
    """Return the Job of a role."""
    return f"{name}-{role}"


def host(name: str, role: str, index: int, queued: bool = False) -> str:
    """Return the host name of a pod, below the Service NAME; a JobSet puts the number of its Job between."""
    return f"{name}-{role}-0-{index}" if queued else f"{name}-{role}-{index}"


def keys_secret(name: str, run: str) -> str:
    """Return the Secret with the keys of all roles."""
    return f"{name}-keys-{run}"


def check_lengths(name: str, replicas: Mapping[str, int], queued: bool = False) -> None:
    """Raise InvalidInput where a generated name is longer than Kubernetes allows, or begins with a digit."""
    if name[:1].isdigit():
        raise InvalidInput(f"metadata.name: {name!r} begins with a digit, which no Service may. Take run-{name}.")
    # a pod is called after its Job and index, with five random characters behind
    longest = {role: len(host(name, role, count - 1, queued)) + len("-xxxxx") for role, count in replicas.items()}
    role, length = max(longest.items(), key=lambda item: item[1])
    if length > MAX_HOST:
        fits = len(name) - (length - MAX_HOST)
        raise InvalidInput(
            f"metadata.name: {name!r} is {length - MAX_HOST} characters too long: the pods of {role} would be called "
            f"{host(name, role, replicas[role] - 1, queued)}-xxxxx, and Kubernetes allows {MAX_HOST} characters"
            + (f"; take at most {fits}" if fits > 0 else "")
        )
