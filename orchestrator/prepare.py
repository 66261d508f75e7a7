"""Planning: an experiment and the machines of a place make the plan that `create`, `render` and `diff` use."""

from dataclasses import dataclass
from pathlib import Path

from surreal.orchestrator.backends.base import THIS_MACHINE, Inventory, backend
from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.experiment.references import own_modules
from surreal.orchestrator.plan.make import make_plan
from surreal.orchestrator.plan.model import Plan
from surreal.orchestrator.run import code_archive
from surreal.orchestrator.run.location import Location


@dataclass(frozen=True)
class Machines:
    """Choice of the machines to plan for. Without any value it is this machine."""

    location: Location | None = None
    """Place whose live machines are asked; None asks none if there is a cluster file."""
    cluster_file: Path | None = None
    """A cluster file: pools that may have no node yet, their bounds and prices."""
    prices: Path | None = None
    """Machine types and prices of the user; SURREAL_HOME/prices.yaml if None and it exists."""

    @property
    def offline(self) -> bool:
        """True if only the cluster file counts and no server is asked."""
        return self.location is None and self.cluster_file is not None

    def inventory(self) -> Inventory:
        """Return the pools. Raises InvalidInput for wrong files, SurrealError if the place does not answer."""
        if self.location is None and self.cluster_file is not None:
            from surreal.orchestrator.inventory import file_inventory

            return file_inventory(self.cluster_file, self.prices)
        return backend(self.location or THIS_MACHINE).pools(self.cluster_file, self.prices)


def plan_for(experiment: Experiment, machines: Machines | None = None) -> Plan:
    """Return the plan of an experiment on `machines`; this machine by default.

    Raises InvalidInput at the lines of the experiment, and SurrealError if the place does not answer.
    """
    machines = machines or Machines()
    found = machines.inventory()
    plan = make_plan(experiment, found.pools)
    remote = False
    if not machines.offline:
        place = backend(machines.location or THIS_MACHINE)
        plan, remote = place.resolve(plan), place.remote
    if remote and not plan.code and own_modules(experiment.spec, experiment.folder):
        # The processes cannot see the folder, so it travels with the run.
        plan = plan.model_copy(update={"code": "."})
    about_code = code_archive.warnings(plan.code, experiment.folder, plan.env["id"], remote=remote)
    return plan.model_copy(update={"warnings": (*found.warnings, *plan.warnings, *about_code)})
