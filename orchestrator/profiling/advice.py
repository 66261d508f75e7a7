"""Advice: which change of a run helps most, from its breakdown by role."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from surreal.orchestrator.profiling.breakdown import Breakdown

FULL = 0.85
"""Share of busy time from which a role bounds the run."""
SOME = 0.15
"""Share from which a part is worth a sentence."""
WITHOUT_CORE = 0.75
"""Share of the time in which it could run that a process has a core, below which cores are too few."""
LEARNS = ("learn", "update", "publish")
ENDING = ("learner", "master")
"""Roles that learn. They end a run and have its folder."""


class Advice(NamedTuple):
    """One sentence, and the share of time that it is about."""

    weight: float
    text: str


def advise(roles: Mapping[str, Breakdown]) -> list[str]:
    """Return sentences on what to change, the one that gains most first."""
    found = sorted([*_cores(roles), *_bounds(roles), *_turns(roles), *_parts(roles)], key=lambda each: -each.weight)
    return [each.text for each in found] or ["No role is busy all the time, and no part stands out: nothing to change."]


def bounding_role(roles: Mapping[str, Breakdown]) -> str | None:
    """Return the busiest role that is on the way of the experience; None where no role is."""
    working = {name: role for name, role in roles.items() if name != "evaluator"}
    return max(working, key=lambda name: working[name].busy) if working else None


def _cores(roles: Mapping[str, Breakdown]) -> Iterator[Advice]:
    for name, role in roles.items():
        # One that sleeps in an operation lacks no core: only what could run and did not.
        runnable = role.cpu + role.delayed
        if runnable > SOME * role.wall and role.delayed > (1 - WITHOUT_CORE) * runnable:
            text = (
                f"{name}: waits for a core for {role.delayed / runnable:.0%} of the time in which it could run. "
                "The machine has too few cores: run fewer processes, or add cores."
            )
            yield Advice(role.delayed / role.wall * role.processes, text)


def _bounds(roles: Mapping[str, Breakdown]) -> Iterator[Advice]:
    bounding = bounding_role(roles)
    if bounding is None or roles[bounding].busy < FULL:
        return
    # The update of a learner may be longer than the profile, and is not seen then.
    role, learns = roles[bounding], bounding in ENDING or any(name in LEARNS for name, _ in roles[bounding].seconds)
    idle = {name: 1 - other.busy for name, other in roles.items() if name not in (bounding, "evaluator")}
    waits = max(idle, key=lambda name: idle[name], default="")
    if not waits or idle[waits] < SOME:
        return
    said = f"{bounding}: is busy {role.busy:.0%} of the time while {waits} waits {idle[waits]:.0%} of it. "
    if learns:
        largest, resource = _largest(role)
        text = said + f"Learning bounds the run, most of it in {largest}: {_remedy(largest, resource)}."
    else:
        text = (
            said + f"Add processes of {bounding}: {waits} can take {1 / max(1 - idle[waits], 0.05):.1f} times as much."
        )
    yield Advice(idle[waits], text)


def _turns(roles: Mapping[str, Breakdown]) -> Iterator[Advice]:
    """Yield the advice for a learner and actors that wait for each other in turns."""
    learners = [each for each in roles.values() if any(name in LEARNS for name, _ in each.seconds)]
    actors = [each for each in roles.values() if any(name == "acting" for name, _ in each.seconds)]
    if not learners or not actors or max(each.busy for each in (*learners, *actors)) >= FULL:
        return
    idle = 1 - actors[0].busy, 1 - learners[0].busy
    if min(idle) > SOME:
        said = f"{actors[0].name} waits {idle[0]:.0%} and {learners[0].name} {idle[1]:.0%} of the time, in turns"
        yield Advice(min(idle), f"{said}. Let both go on at once: max_staleness: 1, or more actors.")


def _largest(role: Breakdown) -> tuple[str, str]:
    """Return the operation that takes most of a role's busy time, and the resource that it uses most."""
    names: dict[str, float] = {}
    for (name, resource), spent in role.seconds.items():
        if resource != "idle":
            names[name] = names.get(name, 0.0) + spent
    largest = max(names, key=lambda name: names[name], default="nothing")
    resources = {resource: spent for (name, resource), spent in role.seconds.items() if name == largest}
    return largest, max(resources, key=lambda resource: resources[resource], default="")


def _remedy(operation: str, resource: str) -> str:
    if operation == "sample":
        return "more shards of replay, or larger batches and fewer of them"
    if resource == "communication":
        return "longer fragments, or larger batches"
    return "fewer epochs, larger batches, or a GPU"


def _parts(roles: Mapping[str, Breakdown]) -> Iterator[Advice]:
    for name, role in roles.items():
        if (talk := role.share("communication")) > SOME:
            text = f"{name}: spends {talk:.0%} of its time on communication. Make fragments longer, or batches larger."
            yield Advice(talk, text)
        if (saved := role.seconds.get(("checkpoint", "python"), 0.0) / role.wall) > SOME / 3:
            yield Advice(saved, f"{name}: saves checkpoints {saved:.0%} of the time. Raise checkpoints.everySeconds.")
        if name == "evaluator" and role.busy > FULL and role.cpu > SOME * role.wall:
            core = role.cpu / role.wall
            yield Advice(core / 2, f"{name}: never rests and takes {core:.0%} of a core. Raise evaluate_every_seconds.")
