"""The graph of an algorithm: its roles and the channels between them.

A graph is data. The orchestrator turns it into processes and addresses, `protocol.worker` into open sockets. The code
of a role knows only the names of its channels.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from surreal.protocol.errors import InvalidInput

ChannelKind = Literal["stream", "broadcast", "service"]

RELAY = "-relay"
"""End of the name of a broadcast's relays, after the channel's."""
MAX_INDEX_DIGITS = 9
METRICS = "metrics"
"""The lossy stream on which processes report numbers to the role that ends the run."""
LOGS = "logs"
"""The lossy stream that a backend adds where processes ship what they print."""


@dataclass(frozen=True, order=True)
class ProcessName:
    """One process of a run: its role and its index among the replicas; written `actor/3`."""

    role: str
    index: int

    def __str__(self) -> str:
        return f"{self.role}/{self.index}"

    @classmethod
    def parse(cls, text: str) -> "ProcessName":
        """Return the name in `text`. Raise ValueError for any other text; peers choose what they send."""
        name = cls.find(text)
        if name is None:
            raise ValueError(f"{text[:80]!r} is no process. Expected ROLE/INDEX, such as actor/3.")
        return name

    @classmethod
    def find(cls, text: str) -> "ProcessName | None":
        """Return the name in `text`, or None for any other text."""
        role, _, index = text.rpartition("/")
        valid = role and index.isascii() and index.isdecimal() and len(index) <= MAX_INDEX_DIGITS
        return cls(role, int(index)) if valid else None

    @classmethod
    def all_of(cls, replicas: Mapping[str, int]) -> "list[ProcessName]":
        """Return the names of all processes of a run; `replicas` maps each role to its number of processes."""
        return [cls(role, index) for role, count in replicas.items() for index in range(count)]


def role_of(process: str) -> str:
    """Return the role in `process`, which is `actor/3` or `actor`."""
    return process.partition("/")[0]


@dataclass(frozen=True)
class Role:
    """One kind of process of an algorithm."""

    name: str
    run: str | Callable[..., Any]
    """A function, called as `function(process)` inside the worker, or its name, `package.module:function`."""
    replicas: int = 1
    """Default number of processes."""
    scalable: bool = False
    """True if the experiment may ask for another number of replicas."""
    expendable: bool = False
    """Its death never fails the run (fit for spot machines).

    Of the others, the role that ends the run is restarted from its checkpoint, and one that `keeps_snapshots` from the
    last of them. Any further one begins anew.
    """
    ends_run: bool = False
    """The run is done when this role's process exits DONE. Exactly one role has it; it hosts the control port."""
    cpu: float = 1.0
    """Default cores per process."""
    memory: str = "1Gi"
    """Default memory per process."""
    accelerated: bool = False
    """Uses a GPU where there is one."""
    keeps_snapshots: bool = False
    """Writes snapshots of its own into its folder, and starts again from the last."""
    evaluates: bool = False
    """Evaluates policies: the end of the run waits for its word on the final one."""
    acts: bool = False
    """Steps environments to learn from: `spec.record` records its episodes."""
    fills_memory: bool = False
    """Fills the memory that it asks for, so that a machine which has less of it cannot run it."""

    def __post_init__(self) -> None:
        """Store a function by its name. Raises InvalidInput for one that a worker could not import."""
        if not isinstance(self.run, str):
            object.__setattr__(self, "run", import_name(self.run, f"role {self.name}: run"))

    @property
    def entry_point(self) -> str:
        """Return `package.module:function` of the role."""
        return str(self.run)


def import_name(function: Callable[..., Any], key: str) -> str:
    """Return `package.module:function`, by which another process imports a function. Nothing is pickled.

    Raises InvalidInput, which begins with `key` and names file and line, for functions of `__main__`, lambdas, local
    functions, methods and objects that are no functions.
    """
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    code = getattr(inspect.unwrap(function), "__code__", None)
    if not module or not name or code is None:
        raise InvalidInput(f"{key}: {function!r} is no function. Pass a function of a module, or its name.")
    shown = f"{name!r} ({code.co_filename}:{code.co_firstlineno})"
    if "<" in name.rpartition(".")[2]:
        raise InvalidInput(f"{key}: {shown} has no name by which a worker could import it. Use `def`.")
    if "." in name:
        raise InvalidInput(
            f"{key}: {shown} is defined inside another function or class, where a worker cannot import it. "
            "Define it at the top of a module."
        )
    if module == "__main__":
        raise InvalidInput(
            f"{key}: {shown} is a function of __main__, which workers cannot import: nothing is pickled. "
            "Move it into a module of its own beside the experiment."
        )
    return f"{module}:{name}"


@dataclass(frozen=True)
class Channel:
    """One connection between roles. `to` binds a Stream or a Service, `frm` a Broadcast; the other side dials.

    Each replica of the binding role listens at an address of its own.
    """

    name: str
    kind: ChannelKind
    frm: tuple[str, ...]
    to: tuple[str, ...]
    window: int = 64
    """Stream: unacknowledged messages a sender may have at one receiver before it blocks. Service: unanswered requests
    that a client may have at one server."""
    lossy: bool = False
    """Stream: drop (and count) instead of block when the window is full; for telemetry."""
    finite: bool = False
    """Stream: refuse messages with NaN or infinity in them, at both ends."""

    @property
    def binds(self) -> str:
        """The role whose process listens."""
        return self.frm[0] if self.kind == "broadcast" else self.to[0]


def Stream(
    name: str, frm: str | tuple[str, ...], to: str, window: int = 64, lossy: bool = False, finite: bool = False
) -> Channel:
    """Return a stream: many senders to one receiver, or to several that share the messages.

    A message is handed over once in a life of its receiver, in order per sender and receiver; a sender waits at its
    window of unacknowledged messages.
    """
    return Channel(name, "stream", (frm,) if isinstance(frm, str) else frm, (to,), window, lossy, finite)


def Broadcast(name: str, frm: str, to: str | tuple[str, ...]) -> Channel:
    """Return a broadcast: one writer to many readers. The latest version wins and versions never go back."""
    return Channel(name, "broadcast", (frm,), (to,) if isinstance(to, str) else to)


def Service(name: str, frm: str | tuple[str, ...], to: str, window: int = 64) -> Channel:
    """Return a service: many clients ask one server, or any of several, and each gets an answer."""
    return Channel(name, "service", (frm,) if isinstance(frm, str) else frm, (to,), window)


def relay_role(channel: str, replicas: int) -> Role:
    """Return the role of the relays between a broadcast's publisher and its readers."""
    run = "surreal.protocol.worker.process:relay"
    return Role(channel + RELAY, run, replicas, expendable=True, cpu=0.5, memory="512Mi")
