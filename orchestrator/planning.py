"""From an experiment to the plan for a place: what `create`, `plan`, `render` and `diff` all begin with."""

from pathlib import Path

from surreal.orchestrator import code
from surreal.orchestrator.backend import backend
from surreal.orchestrator.experiment import Experiment
from surreal.orchestrator.placement import make_plan
from surreal.orchestrator.plan import Plan
from surreal.orchestrator.pools import find_pools
from surreal.orchestrator.where import LOCAL, Where


def plan_for(
    experiment: Experiment,
    where: Where | None = None,
    cluster_file: Path | None = None,
    prices: Path | None = None,
) -> Plan:
    """The plan of `experiment` on the machines of a place, of a cluster file, or of both; this machine without either.

    Raises InvalidInput at the lines of the experiment, and SurrealError where the place cannot be asked.
    """
    found = find_pools(where, cluster_file, prices)
    plan = make_plan(experiment, found.pools)
    if where:
        plan = backend(where).settle(plan)
    beside = Path(experiment.source.name).absolute().parent
    about_code = code.warnings(plan.code, beside, plan.env["id"], remote=where is not None and where.backend != LOCAL)
    return plan.model_copy(update={"warnings": (*found.warnings, *plan.warnings, *about_code)})
