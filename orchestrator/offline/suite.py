"""Running a method over tasks and seeds of the offline suite, each run a run of its own, and scoring it."""

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from surreal.orchestrator.client import Client
from surreal.orchestrator.comparison.curves import flat
from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.experiment.load import load_experiment
from surreal.orchestrator.offline.scores import Score, best_point, normalised, references, report
from surreal.orchestrator.offline.tasks import Task, check_tuning, run_name
from surreal.orchestrator.run.home import find, names
from surreal.protocol.documents import yaml
from surreal.protocol.errors import InvalidInput, SurrealError

Say = Callable[[str], None]
DATASET = "spec.algorithm.config.dataset"


def run_suite(
    file: Path,
    data: Path,
    tasks: Sequence[Task],
    seeds: int,
    grid: Mapping[str, Sequence[Any]] | None = None,
    say: Say = lambda text: None,
) -> dict[str, Any]:
    """Run the method of `file` on every task with `seeds` seeds, one run after another, and return the report.

    With a `grid` (key of the file -> values) every point is run, and the report says the best as `chosen`: the values
    are then tuned on these tasks, so held-out ones are refused. Runs that have ended before are not run again, and go
    on where they were stopped. Raises InvalidInput before anything starts, also for a run of other values.
    """
    if grid:
        check_tuning(tasks)
    for task in tasks:
        references(data, task.source.name)
        if not (data / task.name / "data" / "metadata.json").exists():
            raise InvalidInput(f"--data: {data} has no {task.name}. Run surreal offline generate --task {task.name}.")
    points = _points(grid or {})
    runs = [(task, seed, point) for task in tasks for point in points for seed in range(1, seeds + 1)]
    made = [_experiment(file, data, *each) for each in runs]
    for experiment in made:
        _check_alike(experiment)
    scores = []
    for (task, seed, point), experiment in zip(runs, made, strict=True):
        found = _score(experiment, task, references(data, task.source.name), seed, point)
        values = json.dumps(point) if point else ""
        say(f"{task.name} seed {seed} {values}: last {found.last:.1f}, best {found.best:.1f}")
        scores.append(found)
    whole = report(scores)
    if grid:
        whole["chosen"] = json.loads(best_point(scores))
        whole["tuned_on"] = [task.name for task in tasks]
    return whole


def _points(grid: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]


def _experiment(file: Path, data: Path, task: Task, seed: int, point: Mapping[str, Any]) -> Experiment:
    """Return one run of the suite. Its name says file, task, seed and point."""
    base = file.stem
    values = "-".join(f"{key.rpartition('.')[2]}-{value}" for key, value in point.items())
    name = run_name(f"{base}-{task.name}-{values}-s{seed}" if values else f"{base}-{task.name}-s{seed}")
    overrides = [
        f"metadata.name={name}",
        f"spec.env.id={task.source.env}",
        f"spec.seed={seed}",
        f"{DATASET}={data.absolute() / task.name}",
        *(f"{key}={json.dumps(value)}" for key, value in point.items()),
    ]
    return load_experiment(file, overrides)


def _check_alike(experiment: Experiment) -> None:
    """Raise InvalidInput where the run of this name was made with other values: its score would be theirs."""
    name = experiment.name
    if name not in names():
        return
    before, now = (
        dict(flat(yaml.load_own(text))) for text in (find(name).experiment.read_text(), experiment.to_yaml())
    )
    for key in sorted(before.keys() | now.keys()):
        if before.get(key) != now.get(key):
            raise InvalidInput(
                f"{key}: the run {name} was made with {before.get(key)}, and this one would be with {now.get(key)}. "
                f"Delete the old one (surreal delete {name}), or give the file another name."
            )


def _score(
    experiment: Experiment, task: Task, reference: tuple[float, float], seed: int, point: Mapping[str, Any]
) -> Score:
    """Return the score of a run, having run it where it has not ended yet. Raises SurrealError where it failed."""
    name = experiment.name
    run = Client().get(name) if name in names() else Client().create(experiment)
    if run.status().state == "stopped":
        run.resume()
    status = run.wait()
    if status.state != "succeeded":
        raise SurrealError(f"{name}: {status.state}: {status.reason}. Read why: surreal logs {name}")
    found = [row["eval_return"] for row in run.metrics().rows if row.get("eval_return") is not None]
    if not found:
        raise SurrealError(f"{name}: it was never evaluated. Lower evaluate_episodes, or see surreal logs {name}.")
    last, best = normalised(found[-1], reference), normalised(max(found), reference)
    return Score(task.name, seed, json.dumps(dict(point)), last, best)
