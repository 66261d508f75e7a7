"""Starting points: the checkpoint of another run that a new run begins from, as its fork or in another environment."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from surreal.algorithms.recording.checkpoint import Checkpoint, load, write
from surreal.algorithms.registry import algorithm
from surreal.orchestrator.experiment.complete import code_folder, of_its_time
from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.experiment.inspection import Inspection
from surreal.orchestrator.experiment.lasting import Lost, lost, recorded_config
from surreal.orchestrator.experiment.load import apply_override
from surreal.orchestrator.saved_run import SavedRun, saved
from surreal.protocol.documents.locations import Problem, Source
from surreal.protocol.documents.yaml import load_file
from surreal.protocol.errors import InvalidInput, NotFound
from surreal.protocol.worker.guard.goal import is_number

COUNTERS: dict[str, Any] = {
    "updates": 0,
    "episodes": 0,
    "elapsed": 0.0,
    "returns": [],
    "mean_return": None,
    "discount": None,
}
"""State of a checkpoint that a run in another environment, or by another algorithm, begins anew."""
KEPT = ("normalize_observations", "true")
"""Statistics of a dataset, which stay as they are where actors learn none."""
MANIFEST, FILE = "manifest.json", "experiment.yaml"


@dataclass(frozen=True)
class StartingPoint:
    """A checkpoint of the run `name`, found by `find`."""

    name: str
    run: SavedRun
    folder: Path
    """Folder of the checkpoint."""
    steps: int

    @classmethod
    def find(cls, text: str) -> "StartingPoint":
        """Return the checkpoint that `NAME` or `NAME@STEP` says, the newest by default.

        NAME is a run, a run folder or a URL. Raises NotFound for a run or a step that is not there.
        """
        name, _, step = text.partition("@")
        run = saved(name, which="last")
        run.bring(FILE)
        there = {_step(path): path.parent for path in run.folder.glob(f"checkpoints/step-*/{MANIFEST}")}
        if not there:
            raise NotFound(f"--from: {name} has no checkpoint yet. Wait for the first one.")
        if step and (not step.isdecimal() or int(step) not in there):
            known = ", ".join(map(str, sorted(there)))
            raise NotFound(f"--from: {name} has no checkpoint of step {step}. It has: {known}.")
        chosen = int(step) if step else max(there)
        return cls(name, run, there[chosen], chosen)

    def experiment(self, overrides: Sequence[str]) -> Experiment:
        """Return the experiment of that run with other values; its name has to be among them."""
        if not any(each.startswith("metadata.name=") for each in overrides):
            raise InvalidInput(f"--from {self.name}: a fork needs a name of its own. Give --set metadata.name=...")
        data, source = self._recorded()
        self._name_code(data)
        for override in overrides:
            data = apply_override(data, override, source.lines)
        return Experiment.from_data(data, source, self._code)

    def prepare(self, experiment: Experiment) -> Path:
        """Return a new folder with the checkpoint as `experiment` begins from it; the caller removes it.

        In the same environment the steps are counted on. In another one, and by an algorithm that goes on with actors
        where another learned from data, they are counted from zero. Raises InvalidInput for other algorithms, for other
        networks and statistics, for an environment of other spaces, and for a run that would be over at once.
        """
        checkpoint = load(self.folder)
        about, spec = checkpoint.policy, experiment.spec
        same = about.get("algorithm") == spec.algorithm.name
        if not same and about.get("algorithm") not in experiment.algorithm.begins_from:
            raise InvalidInput(
                f"--from {self.name}: it was trained by {about.get('algorithm')!r}, and spec.algorithm.name is "
                f"{spec.algorithm.name!r}. Take the same algorithm."
            )
        self._check_weights(experiment, about["algorithm"])
        self._check_scaling(about, experiment)
        settings = {"options": {}, **spec.env.model_dump(mode="json")}
        alike = about["env"]["id"] == spec.env.id and (about["env"].get("options") or {}) == settings["options"]
        wrapped = (about["env"].get("wrappers") or []) != settings["wrappers"]
        if wrapped or not (same and alike):
            self._check_spaces(about, experiment)
        if same and alike:
            self._check_end(spec.algorithm.config, checkpoint.state)
            if wrapped and "discount" in checkpoint.state:
                # a wrapper may be a time limit: how long its episodes were before says nothing
                state = {**checkpoint.state, "discount": None}
                checkpoint = Checkpoint(checkpoint.steps, checkpoint.arrays, state, about)
        else:
            known = {key: value for key, value in COUNTERS.items() if key in checkpoint.state}
            if checkpoint.state.get("gradient_steps"):
                known["updates"] = (
                    1  # actors that fill replay act at random by version 0, and these weights have learned
                )
            checkpoint = Checkpoint(0, checkpoint.arrays, {**checkpoint.state, **known}, about)
        folder = Path(tempfile.mkdtemp(prefix="surreal-"))
        write(folder, f"step-{checkpoint.steps:012d}", checkpoint)
        return folder

    def _name_code(self, data: Any) -> None:
        """Name the folder of modules as that run keeps it: its `spec.code` is relative to a file that was elsewhere."""
        if data["spec"].get("code") and self.run.code and code_folder(data["spec"]["code"], self._code) == self._code:
            data["spec"]["code"] = "."

    @property
    def _code(self) -> Path:
        """Folder of the modules of that run."""
        return self.run.code or self.run.folder

    def _recorded(self) -> tuple[Any, Source]:
        """Return the file of that run, with the keys of its time, and its lines."""
        data, source = load_file(self.run.folder / FILE)
        return of_its_time(data, self._code), source

    def _check_weights(self, experiment: Experiment, trained_by: str) -> None:
        """Raise InvalidInput for values with which the weights would be another function than they were learned as.

        Where the file of the run is not known, the learner alone tells, by what is in the checkpoint.
        """
        if not (self.run.folder / FILE).is_file():
            return
        same = trained_by == experiment.spec.algorithm.name
        kind = experiment.algorithm if same else algorithm(trained_by, self._code)
        was = recorded_config(self._recorded()[0], kind)
        found = list(lost(was, experiment.config)) if was else []
        problems = [self._misfit(each, experiment) for each in found if same or (each.fact, each.was) != KEPT]
        if problems:
            raise experiment.source.invalid(problems)

    def _misfit(self, each: Lost, experiment: Experiment) -> Problem:
        """Return what to say of a value that the weights were not learned with."""
        key, fact, was, now = each
        if key.partition(".")[0] not in type(experiment.config).model_fields:
            text = f"it has {fact}: {now}, and {self.name} learned with {was}. Begin without --from."
            return ("spec", "algorithm", "name"), text
        text = f"{self.name} learned with {was}, not with {now}, and a fork keeps that"
        if each.by_default:
            text = f"it makes {fact} {now}, and {self.name} learned with {was}"
        return ("spec", "algorithm", "config", *key.split(".")), f"{text}. Set {fact}: {was}, or begin without --from."

    def _check_scaling(self, about: Any, experiment: Experiment) -> None:
        """Raise InvalidInput where the same numbers of the policy would be other actions."""
        was, now = about.get("scaling", "auto"), experiment.spec.env.action_scaling
        if was != now and about["action"]["kind"] == "Box":
            text = f"{self.name} learned with {was}, and with {now} its actions are others. Set {was}"
            raise experiment.source.invalid([(("spec", "env", "actionScaling"), f"{text}, or begin without --from.")])

    def _check_end(self, config: dict[str, Any], state: dict[str, Any]) -> None:
        """Raise InvalidInput for a budget that is used up, and for a goal that is reached."""
        total, goal, returns = config.get("total_steps"), config.get("stop_at_return"), state.get("returns") or []
        if isinstance(total, int) and total <= self.steps:
            raise InvalidInput(
                f"spec.algorithm.config.total_steps: {total:,} is not beyond step {self.steps:,}, where {self.name} "
                f"is taken up. Set more."
            )
        if not is_number(goal) or len(returns) < config.get("return_window", 0):
            return
        mean = fmean(returns) if returns else state.get("mean_return")
        if mean is not None and mean >= goal:
            raise InvalidInput(
                f"spec.algorithm.config.stop_at_return: {goal:.15g} is not beyond {mean:g}, the return with which "
                f"{self.name} is taken up. Set more, or null."
            )

    def _check_spaces(self, about: Any, experiment: Experiment) -> None:
        """Raise InvalidInput where the environment has other observations or actions than the checkpoint."""
        with Inspection(experiment, remote=False, view=about.get("view", "features")) as looked:
            there = looked.spaces
        for key, space in there.items():
            if _shape(space) != _shape(about[key]):
                raise InvalidInput(
                    f"--from {self.name}: it has the {key} {_said(about[key])} of {about['env']['id']!r}, and "
                    f"{experiment.spec.env.id!r} has {_said(space)}. Take an environment of the same shapes."
                )


def _step(path: Path) -> int:
    return int(path.parent.name.rpartition("-")[2])


def _shape(data: Any) -> Any:
    """Return what has to be equal of two spaces: kinds and sizes; bounds may differ."""
    if "spaces" in data:
        parts = data["spaces"]
        return [_shape(part) for part in (parts.values() if isinstance(parts, dict) else parts)]
    return data["kind"], data.get("shape"), data.get("n"), data.get("nvec")


def _said(data: Any) -> str:
    sizes = next((data[key] for key in ("shape", "n", "nvec") if key in data), len(data.get("spaces", ())))
    return f"{data['kind']} {sizes}"
