"""Studies: what a sweep tries next, and what it gives up; plain for grids and random points, else by optuna."""

import json
import logging
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from surreal.orchestrator.sweeps.model import Point, Pruner, RangeSpec, Sampler, SweepSpec, grid_points, random_point
from surreal.protocol.errors import InvalidInput

JOURNAL, LOST = "journal.log", "lost"
RESTART_STRIDE = 1009
"""Distance of a sampler's seeds from one start of a sweep to the next: equal seeds would draw equal points again."""


class Study(Protocol):
    """Interface to what chooses points."""

    def next(self, number: int) -> tuple[int, Point] | None:
        """Return number and point of a new trial, `number` where nothing speaks against it; None for no more."""

    def report(self, number: int, steps: int, value: float) -> bool:
        """Take in the score of a running trial. Return True if it is to be given up."""

    def end(self, number: int, value: float | None, pruned: bool) -> None:
        """Take in the end of a trial; None is a failure."""


class PlainStudy:
    """Points of a grid, or random ones; gives up none."""

    def __init__(self, spec: SweepSpec) -> None:
        self._spec, self._grid = spec, grid_points(spec.grid)

    def next(self, number: int) -> tuple[int, Point] | None:
        """See Study."""
        if number >= (self._spec.trials or len(self._grid)):
            return None
        space = self._spec.space
        return number, random_point(space, self._spec.sampler_seed, number) if space else self._grid[number]

    def report(self, number: int, steps: int, value: float) -> bool:
        """Return False."""
        return False

    def end(self, number: int, value: float | None, pruned: bool) -> None:
        """Take in nothing."""


class OptunaStudy:
    """A study of optuna in a journal file; its trial numbers are the sweep's."""

    def __init__(self, spec: SweepSpec, folder: Path, known: Mapping[int, bool]) -> None:
        """Open or begin the study. `known` says of each trial of the sweep whether it is over.

        Raises InvalidInput where optuna is missing.
        """
        try:
            optuna: Any = import_module("optuna")
            journal: Any = import_module("optuna.storages.journal")
        except ModuleNotFoundError:
            raise InvalidInput(
                f"sampler: {spec.method!r} and pruners need optuna. Install it: pip install 'surreal[sweep]'."
            ) from None
        optuna.logging.set_verbosity(logging.WARNING)
        storage = optuna.storages.JournalStorage(journal.JournalFileBackend(str(folder / JOURNAL)))
        self._optuna, self._spec = optuna, spec
        self._study = optuna.create_study(
            storage=storage, study_name="sweep", direction="maximize", load_if_exists=True, pruner=_pruner(spec.pruner)
        )
        trials = self._study.get_trials(deepcopy=False)
        self._study.sampler = _sampler(spec.method, spec.sampler_seed + RESTART_STRIDE * len(trials))
        self._running: dict[int, Any] = {}
        self._grid, self._distributions = grid_points(spec.grid), _distributions(spec)
        for trial in trials:
            if trial.state == optuna.trial.TrialState.RUNNING:
                self._take_up(trial, known)

    def _take_up(self, trial: Any, known: Mapping[int, bool]) -> None:
        """Go on with a trial that runs; one that the sweep never heard of is tried again under another number."""
        live = self._optuna.trial.Trial(self._study, trial._trial_id)
        if trial.number in known and not known[trial.number]:
            self._running[trial.number] = live
            return
        if trial.number not in known:
            live.set_user_attr(LOST, True)
            self._study.enqueue_trial(trial.params)
        self._study.tell(trial.number, state=self._optuna.trial.TrialState.FAIL)

    def next(self, number: int) -> tuple[int, Point] | None:
        """See Study."""
        trials = self._study.get_trials(deepcopy=False)
        waiting = [each for each in trials if each.state == self._optuna.trial.TrialState.WAITING]
        made = sum(LOST not in each.user_attrs for each in trials) - len(waiting)
        if made >= (self._spec.trials or len(self._grid)):
            return None
        if not self._spec.space and not waiting:
            self._study.enqueue_trial({key: json.dumps(value) for key, value in self._grid[made].items()})
        trial = self._study.ask(self._distributions)
        self._running[trial.number] = trial
        return trial.number, {key: self._value(key, value) for key, value in trial.params.items()}

    def _value(self, key: str, value: Any) -> Any:
        return value if isinstance(self._spec.space.get(key), RangeSpec) else json.loads(value)

    def report(self, number: int, steps: int, value: float) -> bool:
        """See Study."""
        trial = self._running[number]
        trial.report(value, steps)
        return self._spec.pruner != "none" and bool(trial.should_prune())

    def end(self, number: int, value: float | None, pruned: bool) -> None:
        """See Study."""
        states = self._optuna.trial.TrialState
        state = states.PRUNED if pruned else states.FAIL if value is None else states.COMPLETE
        self._study.tell(self._running.pop(number), None if state != states.COMPLETE else value, state)


def _distributions(spec: SweepSpec) -> dict[str, Any]:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: dict[str, Any] = {}
    for key, values in (spec.space or spec.grid).items():
        if isinstance(values, RangeSpec):
            kind: Any = IntDistribution if values.whole else FloatDistribution
            found[key] = kind(values.low, values.high, log=values.log)
        else:
            # optuna keeps numbers and texts only; a choice may be a list
            found[key] = CategoricalDistribution([json.dumps(value) for value in values])
    return found


def _sampler(method: Sampler, seed: int) -> Any:
    from optuna import samplers

    kinds: dict[str, Any] = {
        "tpe": samplers.TPESampler,
        "gp": samplers.GPSampler,
        "qmc": samplers.QMCSampler,
        "cmaes": samplers.CmaEsSampler,
    }
    return kinds.get(method, samplers.RandomSampler)(seed=seed)


def _pruner(kind: Pruner) -> Any:
    from optuna import pruners

    kinds: dict[str, Any] = {
        "median": lambda: pruners.MedianPruner(n_startup_trials=4),
        "halving": pruners.SuccessiveHalvingPruner,
        "hyperband": pruners.HyperbandPruner,
    }
    return kinds[kind]() if kind in kinds else pruners.NopPruner()


def open_study(spec: SweepSpec, folder: Path, known: Mapping[int, bool]) -> Study:
    """Return the study of a sweep whose state is in `folder`."""
    return OptunaStudy(spec, folder, known) if spec.needs_optuna else PlainStudy(spec)
