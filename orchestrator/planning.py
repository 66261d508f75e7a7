"""Planning for a place: the plan of an experiment on its machines, with what only the place knows."""

from __future__ import annotations

from contextlib import ExitStack
from importlib.util import find_spec
from os.path import isdir
from typing import TYPE_CHECKING

from surreal.orchestrator.backends.base import THIS_MACHINE, backend

if TYPE_CHECKING:
    from surreal.orchestrator.experiment.experiment import Experiment
    from surreal.orchestrator.inventory import Machines
    from surreal.orchestrator.plan.model import Plan


def plan_for(experiment: Experiment, machines: Machines | None = None) -> Plan:
    """Return the plan of an experiment on `machines`; this machine by default.

    Raises InvalidInput at the lines of the experiment, and SurrealError if the place does not answer.
    """
    from surreal.orchestrator.experiment.inspection import Inspection
    from surreal.orchestrator.inventory import Machines
    from surreal.orchestrator.plan.make import make_plan

    machines = machines or Machines()
    place = None if machines.offline else backend(machines.location or THIS_MACHINE)
    remote = place is None or place.remote
    with ExitStack() as stack:
        inspection = None if experiment.is_ordinary else stack.enter_context(Inspection(experiment, remote))
        found = place.pools(machines.cluster_file, machines.prices) if place else machines.inventory()
        plan = make_plan(experiment, found.pools, inspection)
        about_code = inspection.warnings if inspection else []
    if place:
        plan = place.resolve(plan)
    if remote and not plan.code and experiment.own_modules():
        # The processes cannot see the folder, so it travels with the run.
        plan = plan.model_copy(update={"code": "."})
    if plan.track and not remote:
        _check_trackers(experiment, plan)
    if plan.code and not isdir(experiment.folder / plan.code):
        text = f"{experiment.folder / plan.code} is no folder. Name one, relative to the experiment file."
        raise experiment.source.invalid([(("spec", "code"), text)])
    if plan.code or experiment.own_names:
        from surreal.orchestrator.run import code_archive

        about_code += code_archive.warnings(plan.code, experiment.folder, experiment.own_names, remote=remote)
    return plan.model_copy(update={"warnings": (*found.warnings, *plan.warnings, *about_code)})


def _check_trackers(experiment: Experiment, plan: Plan) -> None:
    """Raise InvalidInput, at its line, for a tracker whose package this machine lacks."""
    missing = [name for name in plan.track if find_spec(name) is None]
    if missing:
        raise experiment.source.invalid(
            (("spec", "track", name), f"the package {name} is not installed here. Run: pip install {name}")
            for name in missing
        )
