"""Making the suite's datasets: by rules, or by recordings of runs of our own with stored seeds."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from surreal.orchestrator.client import Client, all_names
from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.offline.scores import note_reference
from surreal.orchestrator.offline.tasks import Source, Task, run_name
from surreal.orchestrator.recorded import mixture
from surreal.orchestrator.saved_run import SavedRun, saved
from surreal.protocol.errors import InvalidInput, SurrealError

REFERENCE_EPISODES = 50
"""Episodes of random and of expert actions behind a normalised score."""
TRAIN_STEPS = {"pendulum": 20_000, "hopper": 300_000, "cheetah": 300_000}
MEDIUM = 0.4
"""Share of the best evaluation's gain over the first one from which a checkpoint is medium."""
Say = Callable[[str], None]


def generate(tasks: Sequence[Task], data: Path, run: str | None = None, say: Say = lambda text: None) -> list[Path]:
    """Make the datasets of `tasks` that are not in the folder `data` yet, and the references; return their folders.

    `run` names the run that tasks of one environment take their policies from; without it one is trained first, with
    the stored seed. Raises InvalidInput where `run` is given for several environments.
    """
    data.mkdir(parents=True, exist_ok=True)
    sources = {each.source.name: each.source for each in tasks}
    if run is not None and (len(sources) > 1 or next(iter(sources.values())).episodes):
        raise InvalidInput(f"--run: {run} is of one environment. Name tasks of that one, such as --task hopper.")
    made = []
    for source in sources.values():
        own = [each for each in tasks if each.source == source]
        policies = None if source.episodes else _policies(run or _trained(source, say), source)
        for task in own:
            folder = data / task.name
            if not (folder / "data" / "metadata.json").exists():
                say(f"{task.name}: recording")
                _record(task, folder, policies)
            made.append(folder)
        say(f"{source.name}: references")
        note_reference(data, source.name, _references(source, data, policies))
    return made


def _policies(run: str, source: Source) -> SavedRun:
    """Return a run that has what mixtures of its policies take. Raises InvalidInput for one that has not."""
    from surreal.algorithms.policies import Policy

    found = saved(run)
    policy = found.policy("last")
    if not isinstance(policy, Policy):
        raise InvalidInput(f"--run: {run} is an exported policy, and mixtures are of checkpoints. Name its run.")
    if (trained := policy.about["env"]["id"]) != source.env:
        raise InvalidInput(
            f"--run: {run} was trained in {trained}, and {source.name} is {source.env}. Name another run."
        )
    if not any(row.get("eval_return") is not None for row in found.metrics().rows):
        raise InvalidInput(f"--run: {run} was never evaluated, so none of its policies is medium. Let it go on.")
    return found


def _record(task: Task, folder: Path, policies: SavedRun | None) -> None:
    from surreal.algorithms.exporting.record import Recording, record

    source = task.source
    seed = 1_000_000 * source.seed + 100_000 * task.number
    name = f"surreal/{source.name}-{task.variant.replace('.', '_')}-v0"
    size: dict[str, Any] = {"episodes": source.episodes} if source.episodes else {"steps": source.steps}
    noise = task.noise if source.episodes else 0.0
    settings = Recording(folder, name, noise=noise, sample=policies is not None, seed=seed, **size)
    record(_behaviours(task.variant, source, policies), {"id": source.env}, settings)


def _behaviours(variant: str, source: Source, policies: SavedRun | None) -> Any:
    """Return the mixture of a task."""
    from surreal.algorithms.exporting.record import Behaviour
    from surreal.algorithms.offline.catch import RULES

    if policies is None:
        rule = None if variant == "random" else RULES[source.name]
        return [Behaviour("random" if rule is None else f"rule of {source.name}", None, rule=rule)]
    medium = _medium(policies)
    words = {
        "random": ("random", "best=0"),
        "medium": (str(medium),),
        "medium-replay": (f"replay@{medium}",),
        "medium-expert": (f"{medium}=0.5", "best=0.5"),
        "expert": ("best",),
    }
    return mixture(policies, words[variant], policies.code)


def _medium(policies: SavedRun) -> int:
    """Return the step of the first checkpoint that follows an evaluation of the medium return."""
    rows = [row for row in policies.metrics().rows if row.get("eval_return") is not None]
    returns = np.array([row["eval_return"] for row in rows])
    wanted = returns[0] + MEDIUM * (returns.max() - returns[0])
    step = int(rows[int(np.argmax(returns >= wanted))]["steps"])
    there = sorted(int(path.name.rpartition("-")[2]) for path in policies.folder.glob("checkpoints/step-*"))
    return next((each for each in there if each >= step), there[-1])


def _references(source: Source, data: Path, policies: SavedRun | None) -> dict[str, float]:
    """Return the mean returns of random actions and of the expert, over episodes that no dataset has."""
    from contextlib import closing

    from surreal.algorithms.environments.make import make_env
    from surreal.algorithms.exporting.record import Recording, acting, play

    found = {}
    for name in ("random", "expert"):
        (behaviour, *_) = _behaviours("noise-0.0" if policies is None and name == "expert" else name, source, policies)
        with closing(make_env({"id": source.env}, evaluating=True)) as env:
            settings = Recording(data, "surreal/reference-v0")
            totals = []
            for number in range(REFERENCE_EPISODES):
                rng = np.random.default_rng([source.seed, number])
                act = acting(behaviour, env.spaces.action_space, settings)
                totals.append(play(env, act, number, rng, source.name).rewards.sum())
        found[name] = float(np.mean(totals))
    return found


def _trained(source: Source, say: Say) -> str:
    """Return the name of the run behind an environment, having trained it where there is none."""
    name = run_name(f"suite-{source.name}")
    if name not in all_names():
        say(f"{source.name}: training {name}, {TRAIN_STEPS[source.name]:,} steps of sac")
        from surreal.algorithms.offpolicy.graph import SAC

        checkpoints = {"everySeconds": 10, "keep": 1_000}
        experiment = Experiment(
            name,
            {"id": source.env, "copies": 1},
            SAC(total_steps=TRAIN_STEPS[source.name], replay={"min_size": 2_000}),
            seed=source.seed,
            roles={"actor": {"replicas": 1}},
            checkpoints=checkpoints,
        )
        status = Client().create(experiment).wait()
        if status.state != "succeeded":
            raise SurrealError(f"{name}: {status.state}: {status.reason}. Read why: surreal logs {name}")
    return name
