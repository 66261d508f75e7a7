"""Change of a run that exists: its experiment with other values, and the plan of it."""

from collections.abc import Sequence
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

from surreal.orchestrator.experiment.complete import of_its_time
from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.experiment.lasting import lost, recorded_config
from surreal.orchestrator.experiment.load import apply_override
from surreal.orchestrator.experiment.model import EnvSpec
from surreal.orchestrator.plan.make import make_plan
from surreal.orchestrator.plan.model import Plan
from surreal.protocol.documents import yaml as strictyaml
from surreal.protocol.documents.effects import shown
from surreal.protocol.documents.locations import KeyPath, Source
from surreal.protocol.documents.models import validated
from surreal.protocol.errors import InvalidInput
from surreal.protocol.telemetry.gauges import Progress
from surreal.provisioner.pools.model import NodePool

FILE = "experiment.yaml of the run"
BUDGET, GOAL = "spec.algorithm.config.total_steps", "spec.algorithm.config.stop_at_return"
LASTING: dict[str, KeyPath] = {
    "metadata.name": ("metadata", "name"),
    "spec.env.id": ("spec", "env", "id"),
    "spec.algorithm.name": ("spec", "algorithm", "name"),
    "spec.seed": ("spec", "seed"),
    "spec.storage": ("spec", "storage"),
    "spec.code": ("spec", "code"),
}
"""Keys that a run keeps for life: its checkpoints and its folder depend on them. So do those of its config that its
weights are learned with."""
ENV = {"options": "spec.env.options", "wrappers": "spec.env.wrappers", "action_scaling": "spec.env.actionScaling"}
"""Attributes of an environment that a run keeps for life, as they are read and not as they are written."""


def changed(
    text: str, changes: Sequence[str], folder: Path, plan: Plan, pools: Sequence[NodePool]
) -> tuple[Experiment, Plan]:
    """Return the experiment of a run with `changes` (`spec.algorithm.config.total_steps=2e6`), and its new plan.

    `text` is its complete file, `folder` that of its own modules, `plan` the present one. Raises InvalidInput for a
    value that is wrong, and for one that a run keeps for life.
    """
    data, lines = strictyaml.load(text, Source(FILE))
    data = of_its_time(data, folder)
    source = Source(FILE, lines)
    before, complete = {key: _at(data, path) for key, path in LASTING.items()}, deepcopy(data)
    for change in changes:
        data = apply_override(data, change, source.lines)
    for key, path in LASTING.items():
        if _at(data, path) != before[key]:
            raise InvalidInput(
                f"--set {key}: {before[key]!r} cannot change in a run that exists. "
                f"Begin another one: surreal create FILE --from {plan.name}, which takes over its weights"
            )
    experiment = Experiment.from_data(data, source, folder)
    _refuse_another_environment(complete, experiment, plan.name)
    _refuse_other_weights(complete, experiment)
    made = make_plan(experiment, pools)
    return experiment, made.model_copy(update={"storage": plan.storage, "code": plan.code})


def _refuse_another_environment(before: Any, experiment: Experiment, name: str) -> None:
    """Raise InvalidInput for another environment under the same id, and for actions that mean something else."""
    was, now = validated(EnvSpec, before["spec"]["env"])[0], experiment.spec.env
    for attribute, key in ENV.items() if was else ():
        if getattr(was, attribute) != getattr(now, attribute):
            # a fork may begin in another environment, but not with weights whose actions mean something else
            fork = "" if attribute == "action_scaling" else f" --from {name}, which takes over its weights"
            text = f"{shown(getattr(was, attribute))} cannot change in a run that exists"
            raise InvalidInput(f"--set {key}: {text}. Begin another one: surreal create FILE{fork}")


def _refuse_other_weights(before: Any, experiment: Experiment) -> None:
    """Raise InvalidInput for a value by which the weights of the checkpoints would be another function."""
    config, below = recorded_config(before, experiment.algorithm), "--set spec.algorithm.config."
    for each in lost(config, experiment.config) if config else ():
        stays, other = f"{each.was} cannot change in a run that exists", "egin another one: surreal create FILE"
        if not each.by_default:
            raise InvalidInput(f"{below}{each.key}: {stays}. B{other}")
        makes, add = f"it would make {each.fact} {each.now}", f"Add {below}{each.fact}={each.was}"
        raise InvalidInput(f"{below}{each.key}: {makes}, and {stays}. {add}, or b{other}")


def refuse_an_end_at_once(name: str, changes: Sequence[str], progress: Progress, reached: str) -> None:
    """Raise InvalidInput for a budget that a run has used up, or a goal that it has reached: it would start to end.

    `reached` says that a goal has ended it, empty where none has.
    """
    steps, mean = progress.steps, progress.episode_return
    given = {key: value for key, _, value in (change.partition("=") for change in changes)}
    if reached and not any(f"{GOAL}.".startswith(f"{key}.") for key in given):
        raise InvalidInput(f"{name}: {reached}: it would end at once. Add --set {GOAL}=null.")
    with suppress(ValueError):  # what is no number is said by the model
        if BUDGET in given and float(given[BUDGET]) <= steps:
            raise InvalidInput(
                f"--set {BUDGET}: {given[BUDGET]} is not beyond step {steps:,}, where {name} is. Set more."
            )
    with suppress(ValueError):
        if reached and mean is not None and GOAL in given and float(given[GOAL]) <= mean:
            raise InvalidInput(f"--set {GOAL}: {given[GOAL]} is not beyond {mean:g}, the return of {name}. Set more.")


def new_warnings(plan: Plan, planned: Plan) -> list[str]:
    """Return the warnings of the changed plan that the present one does not have."""
    return [warning for warning in planned.warnings if warning not in plan.warnings]


def _at(data: Any, path: KeyPath) -> Any:
    for key in path:
        data = data.get(key) if isinstance(data, dict) else None
    return data
