"""Role: a role of an algorithm's graph, or the size and place of a role in one experiment."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, overload

from pydantic.alias_generators import to_camel

from surreal.protocol import graph
from surreal.protocol.errors import InvalidInput


@dataclass(frozen=True)
class RoleOptions:
    """Options of one role in an experiment; keys that are not said keep the algorithm's defaults."""

    said: Mapping[str, Any]

    def to_data(self) -> dict[str, Any]:
        """Return the mapping of an experiment file."""
        resources = {key: self.said[key] for key in ("cpu", "memory", "gpu") if key in self.said}
        others = {to_camel(key): value for key, value in self.said.items() if key not in resources}
        return {**({"resources": resources} if resources else {}), **others}


@overload
def Role(
    name: str,
    run: str | Callable[[Any], Any],
    *,
    replicas: int = 1,
    scalable: bool | None = None,
    expendable: bool = False,
    ends_run: bool = False,
    cpu: float = 1.0,
    memory: str = "1Gi",
    accelerated: bool = False,
    evaluates: bool = False,
    acts: bool = False,
) -> graph.Role: ...
@overload
def Role(
    *, replicas: int = ..., cpu: float = ..., memory: str = ..., gpu: int = ..., **options: Any
) -> RoleOptions: ...


def Role(name: str | None = None, run: str | Callable[[Any], Any] | None = None, **options: Any) -> Any:
    """Describe a role of an algorithm, or say how large a role is in one experiment.

    With a name and a function it is a role of an `Algorithm`: each of its `replicas` processes calls `run(process)`.
    `run` is a function at the top of a module, or `module:function`. One role has `ends_run`; `expendable` roles may
    die without failing the run; a `scalable` role may have other replicas in an experiment, by default each that does
    not end the run. The end of the run waits for the last evaluation of a role that `evaluates`. `spec.record` records
    the episodes of a role that `acts`. `cpu` (cores) and `memory` are defaults for each process.

    With keywords only it is for `Experiment(roles={"actor": Role(replicas=64)})`: replicas, cpu, memory, gpu, pool,
    spot, env, image and the other keys of `spec.roles` in snake case.
    """
    if name is None and run is None:
        return RoleOptions(options)
    if not isinstance(name, str) or run is None:
        raise InvalidInput(f"Role: name and run go together, here {name!r} and {run!r}. Give both, or keywords only.")
    scalable = options.pop("scalable", None)
    if scalable is None:
        scalable = not options.get("ends_run", False)
    return graph.Role(name, run, scalable=scalable, **options)
