"""Inspection of a sweep before it starts: whether the code that its values name is there, and fits."""

import json
from typing import Any

from surreal.orchestrator.backends.base import backend
from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.experiment.inspection import Inspection
from surreal.orchestrator.plan.make import sized
from surreal.orchestrator.run.location import Location
from surreal.orchestrator.sweeps.load import Sweep, at_point, corners
from surreal.protocol.worker.guard.goal import is_number


def inspect(sweep: Sweep, location: Location) -> None:
    """Check what the values mean together, and have a process look at each environment, algorithm and network.

    Raises InvalidInput that names the value of the sweep which no run could use.
    """
    remote, seen = backend(location).remote, set()
    for point in corners(sweep.document):
        with at_point(point):
            experiment = sweep.run(0, point, sweep.seeds[0])
            sized(experiment)
            looks = _looked_at(experiment)
            if looks in seen or experiment.is_ordinary:
                continue
            seen.add(looks)
            with Inspection(experiment, remote) as inspection:
                _ = inspection.warnings


def _looked_at(experiment: Experiment) -> str:
    """Return what an inspection depends on: neither numbers of the config, such as a learning rate, nor copies."""
    spec, config = experiment.spec, _without_numbers(experiment.config.model_dump(mode="json"))
    env = spec.env.model_dump(mode="json", exclude={"copies"})
    return json.dumps([env, spec.algorithm.name, config], sort_keys=True)


def _without_numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_numbers(inner) for key, inner in value.items() if not is_number(inner)}
    return value
