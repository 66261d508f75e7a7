"""Measuring a calibration: two short runs of the experiment, of one and of several actors, profiled."""

import secrets
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean, pstdev

from surreal.algorithms.algorithm import Flow
from surreal.orchestrator.client import Client
from surreal.orchestrator.experiment.load import load_experiment
from surreal.orchestrator.plan.model import Plan
from surreal.orchestrator.prediction.calibration import MANY, Calibration, Machine, key_of
from surreal.orchestrator.prediction.predict import flow_of
from surreal.orchestrator.prediction.queueing import Service
from surreal.orchestrator.profiling.profile import Profile
from surreal.orchestrator.profiling.take import begin_and_measure
from surreal.orchestrator.profiling.timelines import Timeline
from surreal.orchestrator.run.usage import Usage
from surreal.protocol.errors import InvalidInput, SurrealError

UPDATES = ("learn",)
FRAGMENTS = ("acting",)
SLOWER = 1.5
"""Factor from which the time that a role worked is doubted beside the time that it had a core."""


def calibration_of(plan: Plan, profile: Profile, usage: Usage | None = None) -> Calibration:
    """Return the calibration that a profile of a run of `plan` makes. Raises SurrealError where it saw no steps."""
    flow = flow_of(plan)
    if flow is None:
        raise SurrealError(f"{plan.algorithm}: says no flow, which predictions need. Give it one.")
    rate = rate_of(profile, flow)
    if not rate:
        raise SurrealError(f"{plan.name}: no two fragments were seen. Profile it for longer: --seconds.")
    memory = {role.name: role.largest.used.memory or 0 for role in usage.roles if role.largest} if usage else {}
    actors = len({each.name for each in profile.processes if each.name.partition("/")[0] == flow.actor})
    services = {
        flow.actor: _service(profile, flow.actor, rate / max(actors, 1), FRAGMENTS),
        flow.learner: _service(profile, flow.learner, rate, UPDATES),
    }
    others = [each for each in profile.processes if each.name.partition("/")[0] not in services]
    evaluators = [each for each in others if each.name.startswith("evaluator")]
    return Calibration(
        key=key_of(plan.algorithm, plan.env, plan.config),
        env=str(plan.env["id"]),
        algorithm=plan.algorithm,
        machine=Machine.here(),
        services={role: replace(each, memory=memory.get(role, 0)) for role, each in services.items()},
        steady=sum(each.cpu / each.wall for each in evaluators),
        per_step=sum(each.cpu / each.wall for each in others if each not in evaluators) / rate,
        measured=rate * _slowed(profile, services),
        ahead=flow.ahead,
        replicas={role.name: role.replicas for role in plan.roles},
        at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def rate_of(profile: Profile, flow: Flow) -> float:
    """Return the environment steps a second of all actors in a profile; 0 where none ended two fragments.

    It counts from the end of the first fragment to that of the last: what was under way at either end of the profile
    is left out with its time.
    """
    rate = 0.0
    for timeline in profile.timelines:
        ended = [
            (each.end, sum(piece.times for piece in each.pieces if piece.name == "simulation"))
            for each in sorted(timeline.intervals, key=lambda each: each.end)
            if each.name in FRAGMENTS and not each.lane and each.pieces
        ]
        if timeline.role == flow.actor and len(ended) > 1 and ended[-1][0] > ended[0][0]:
            steps = sum(times for _, times in ended[1:]) * flow.batched
            rate += steps / ((ended[-1][0] - ended[0][0]) / 1e9)
    return rate


def _slowed(profile: Profile, roles: Collection[str]) -> float:
    """Return how much faster a run would be without its profile: of the role whose time it takes most of."""
    return max(each.wall / each.corrected for name, each in profile.roles.items() if name in roles)


def _service(profile: Profile, role: str, rate: float, spans: Sequence[str]) -> Service:
    """Return the times of one process of a role for each step, of which it takes `rate` a second.

    Waiting for a core is not its own time, nor is the profiler's.
    """
    group = [each for each in profile.processes if each.name.partition("/")[0] == role]
    worked = mean(max(each.cpu, each.busy * each.corrected - each.delayed) / each.corrected for each in group)
    used = mean(min(each.cpu, each.busy * each.corrected) / each.corrected for each in group)
    return Service(worked / rate, used / rate, _spread(profile.timelines, role, spans))


def _spread(timelines: Sequence[Timeline], role: str, spans: Sequence[str]) -> float:
    """Return the relative deviation of the middle nine tenths of the spans' lengths; 0 for fewer than ten."""
    lengths = sorted(
        each.end - each.start
        for timeline in timelines
        if timeline.role == role
        for each in timeline.intervals
        if each.name in spans and not each.lane
    )
    middle = lengths[len(lengths) // 20 : len(lengths) - len(lengths) // 20]
    return min(1.0, pstdev(middle) / mean(middle)) if len(middle) >= 10 and mean(middle) else 0.0


def calibrate(
    client: Client, file: Path, overrides: Sequence[str], seconds: float, say: Callable[[str], None]
) -> Calibration:
    """Return the calibration of an experiment file on this machine, from runs of one and of MANY actors.

    Each takes `seconds` and is then deleted. Raises InvalidInput for another place, and for an algorithm whose speed
    is not predicted.
    """
    if client.backend.remote:
        raise InvalidInput("--on: only this machine can be measured. Run surreal calibrate in a pod of the pool.")
    asked = client.plan(load_experiment(file, overrides))
    flow = flow_of(asked)
    if flow is None:
        raise InvalidInput(f"spec.algorithm.name: {asked.algorithm!r} says no flow, which predictions need. Add it.")

    def measured(actors: int) -> Calibration:
        name = f"metadata.name={asked.name[:40].rstrip('-')}-calibrate-{secrets.token_hex(2)}"
        roles = sized({role.name for role in asked.roles}, flow, actors)
        experiment = load_experiment(file, (*overrides, *roles, name, *endless(asked.config)))
        plan = client.plan(experiment)
        with tempfile.TemporaryDirectory(prefix="surreal-") as folder:
            begun = begin_and_measure(lambda: client.create(experiment, plan), seconds, Path(folder), say)
        made = calibration_of(plan, *begun)
        for doubt in doubts(made):
            say(doubt)
        return made

    one = measured(1)
    try:
        many = measured(MANY)
        return replace(one, more=many.services, measured_many=many.measured)
    except InvalidInput as error:
        say(f"measured with one actor alone: this machine has no room for {MANY}: {error}")
        return one


def doubts(made: Calibration) -> Iterator[str]:
    """Yield a sentence for each role whose times may be those of a busy machine."""
    for role, times in made.services.items():
        if times.seconds > SLOWER * times.cpu:
            yield (
                f"warning: {role} worked {times.seconds * 1e6:,.0f} us for a step and had a core for "
                f"{times.cpu * 1e6:,.0f} us of them: other work disturbed it, or it waits for a device. "
                "Where it does not, measure again while nothing else runs"
            )


def endless(config: Mapping[str, object]) -> list[str]:
    """Return changes by which a run does not end while it is measured."""
    found = []
    if "total_steps" in config:
        found.append("spec.algorithm.config.total_steps=1_000_000_000")
    if config.get("stop_at_return") is not None:
        found.append("spec.algorithm.config.stop_at_return=null")
    return found


def sized(roles: Collection[str], flow: Flow, actors: int) -> list[str]:
    """Return the changes that make a run of so many actors and one learner of an experiment."""
    sizes = {flow.actor: actors, flow.learner: 1}
    return [f"spec.roles.{role}.replicas={number}" for role, number in sizes.items() if role in roles]
