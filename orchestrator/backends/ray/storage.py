"""Place of the run folder on Ray, and what of an experiment means nothing there."""

from surreal.orchestrator.plan.model import Plan
from surreal.orchestrator.run.wiring import ending_role


def resolved(plan: Plan) -> Plan:
    """Return the plan with a sentence of what dies with what, and warnings of keys that are about pods."""
    storage = plan.storage.model_copy(update={"note": _note(plan)})
    return plan.model_copy(update={"storage": storage, "warnings": (*plan.warnings, *_warnings(plan))})


def _note(plan: Plan) -> str:
    end = ending_role(plan).name
    if plan.storage.url:
        return f"{plan.storage.url}, copied there every 15 s; a {end} that is replaced goes on from there"
    return (
        f"SURREAL_HOME/ray/{plan.name} of the cluster; a {end} whose node dies resumes from its checkpoint if the "
        "nodes share that folder, else from step 0; spec.storage.url keeps it in any case"
    )


def _warnings(plan: Plan) -> list[str]:
    volumes = any(role.volumes for role in plan.roles)
    given = {
        "spec.queue": plan.queue,
        "volumes": volumes,
        "spec.egress": plan.egress,
        "spec.imagePullSecrets": plan.image_pull_secrets,
    }
    named = [key for key, value in given.items() if value]
    ranges = [
        f"spec.roles.{role.name}.replicas: a range is not followed on Ray, where all {role.replicas} start"
        for role in plan.roles
        if role.least is not None
    ]
    return ranges + (
        [f"{', '.join(named)}: means nothing on Ray, whose actors run in the cluster's own environment"]
        if named
        else []
    )
