"""Objects of a run that are in the cluster already, and those in their places that are not its own."""

from collections.abc import Mapping, Sequence

from surreal.orchestrator.backends.kube.names import ATTEMPT, RUN
from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.errors import TakenError
from surreal.provisioner.kube.kinds import INSTANCE, MANAGED_BY, OWNER, Object
from surreal.provisioner.kube.objects import name_of, text
from surreal.provisioner.kube.together import together

Key = tuple[str, str]
"""Kind and name."""
OTHER_NAME = "choose another name (--set metadata.name=...)"


def live(api: Api, objects: Sequence[Object]) -> dict[Key, Object]:
    """Return the objects of these names that are there already.

    Secrets are not looked at: their names are of one run only, and who creates experiments need not read them.
    """
    keys = [key_of(each) for each in objects if each["kind"] != "Secret"]
    found = together(lambda key: api.find(*key), keys)
    return {key: each for key, each in zip(keys, found, strict=True) if each}


def ours(api: Api, live: Mapping[Key, Object], run: str) -> dict[Key, Object]:
    """Return the objects, all of which are of this run. Raises TakenError for one that is not."""
    for each in live.values():
        if label(each, RUN) == run:
            continue
        what = f"{each['kind']} {name_of(each)}"
        if label(each, INSTANCE) and label(each, MANAGED_BY) == OWNER:
            old = label(each, INSTANCE)
            left = f"{what} is there from experiment {label(each, RUN)} named {old!r}"
            raise TakenError(f"{left}: surreal delete {old} removes it with its results, or {OTHER_NAME}")
        raise TakenError(f"there is a {what} in namespace {api.namespace} that is not surreal's: {OTHER_NAME}")
    return dict(live)


def key_of(each: Object) -> Key:
    """Return the kind and the name of an object."""
    return each["kind"], name_of(each)


def label(each: Object, key: str) -> str:
    """Return a label of an object; empty for none."""
    return text(each, "metadata", "labels", key)


def attempt_of(job: Object) -> str:
    """Return the attempt that the pods of a Job or JobSet belong to; empty for other objects."""
    spec = job.get("spec") or {}
    for inner in spec.get("replicatedJobs") or ():
        spec = inner["template"]["spec"]
    marks = (spec.get("template") or {}).get("metadata", {}).get("annotations") or {}
    return str(marks.get(ATTEMPT, ""))
