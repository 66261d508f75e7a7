"""Inspection of a sweep before it starts: whether the code that its values name is there, and fits."""

import json

from surreal.orchestrator.backends.base import backend
from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.experiment.inspection import Inspection
from surreal.orchestrator.run.location import Location
from surreal.orchestrator.sweeps.load import Sweep, at_point, corners


def inspect(sweep: Sweep, location: Location) -> None:
    """Have a process look at each environment, algorithm and network of the sweep, as `surreal plan` does.

    Raises InvalidInput that names the value of the sweep which no run could use.
    """
    remote, seen = backend(location).remote, set()
    for point in corners(sweep.document):
        with at_point(point):
            experiment = sweep.run(0, point, sweep.seeds[0])
            looks = _looked_at(experiment)
            if looks in seen or experiment.is_ordinary:
                continue
            seen.add(looks)
            with Inspection(experiment, remote) as inspection:
                _ = inspection.warnings


def _looked_at(experiment: Experiment) -> str:
    """Return what an inspection depends on: a number of the config, such as a learning rate, is no code."""
    config = {key: value for key, value in experiment.config.model_dump(mode="json").items() if not _is_number(value)}
    spec = experiment.spec
    return json.dumps([spec.env.model_dump(mode="json"), spec.algorithm.name, config], sort_keys=True)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
