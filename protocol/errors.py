"""The error tree and the one table of exit codes.

SurrealError                a sentence for a person, printed without a traceback            exit 1
├── InvalidInput            a file, option or name is wrong; nothing was started            exit 2
├── Fatal                   a worker cannot ever succeed (bad config): do not restart it    exit 3
├── NotFound                no such experiment, role or file                                exit 5
├── Stopping                this process was asked to stop while it waited                  exit 0
├── Refused                 the peer at the other end of a channel refuses this process     exit 3
├── Timeout                 a deadline given by the caller passed                           exit 7
├── Unreachable             the place of a run gives no answer; the run may well go on      exit 8
├── CallError               service.rows: the server could not answer this call             exit 1
├── StoreError              worker.object_store: the object store failed; retrying may help exit 1
├── EnvironmentCrashedError algorithms.environments: an environment raised                  exit 1
├── NodesHiddenError        provisioner.pools: the nodes of a cluster may not be listed     exit 1
├── DoesNotFitError         orchestrator.operator: the machines that are there cannot hold the run   exit 1
├── ApiError                provisioner.kube: the API server refuses                        exit 1
│   ├── AbsentError         no such object; also a NotFound                                 exit 5
│   ├── TakenError          the name is another object's; also an InvalidInput              exit 2
│   ├── NoNamespaceError    no such namespace; also an InvalidInput                         exit 2
│   └── BusyError           the same request may succeed later; also an Unreachable         exit 8
├── ClosedError             provisioner.kube: a connection into a pod ended                 exit 1
├── StillEndingError        backends.kube: pods of the attempt before have not ended yet    exit 1
└── DeletedError            backends.kube: a run was deleted while it was being created     exit 1
    Fatal
    └── DamagedError        algorithms.datasets: a dataset or one of its episodes makes no sense    exit 3
    NotFound
    ├── NoMetricError       orchestrator.run: no number of that name; also a KeyError           exit 5
    └── NoPolicyError       orchestrator.run: a run has not saved that policy               exit 5
    InvalidInput
    └── MissingModuleError  algorithms.own_code: a module is not installed here             exit 2
ValueError
├── MisfitError             algorithms.replay: a message has other arrays than its shard
├── OutdatedError           algorithms.inference: a question of an actor that was replaced
└── MalformedError          wire.limits: a message or packet exceeds what the wire carries
    ├── NotFiniteError      NaN or infinity on a channel that promises finite numbers
    └── ProtocolVersionError  the peer speaks another version of the protocol
Exception, taken up where it is raised
├── RegroupError            algorithms.group: the learners of a run have to join again
└── MemoryLostError         algorithms.inference: a replica no longer knows what copies remembered

The classes of this module are the outcomes that authors raise and users see, so their names are plain words. Every
other error stands next to the code that raises it, and its name ends with Error.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """Exit status of a process, the same for workers on every backend and for the CLI."""

    DONE = 0
    """Finished what it was asked to do."""
    FAILED = 1
    """Worker: crashed, restart it. CLI: the run failed."""
    INVALID = 2
    """The input is wrong and nothing was started."""
    FATAL = 3
    """Worker: restarting cannot help, the run fails."""
    PREEMPTED = 4
    """Worker: was told to stop while the run goes on, saved what it had; restart without counting it as a failure."""
    NOT_FOUND = 5
    """CLI: no such experiment, role or file."""
    STOPPED = 6
    """Worker: a limit of the run is reached, all is saved; do not restart it. CLI: the run was stopped (`wait`)."""
    TIMEOUT = 7
    """CLI: the time given with --timeout passed."""
    UNREACHABLE = 8
    """CLI: the place of the run gave no answer for long; nothing is known of the run."""


class SurrealError(Exception):
    """An error a person can act on: printed as its text, never as a traceback."""

    exit_code: ClassVar[ExitCode] = ExitCode.FAILED


class InvalidInput(SurrealError):
    """A file, option or name is wrong; nothing was started."""

    exit_code = ExitCode.INVALID


class Fatal(SurrealError):
    """A worker cannot ever succeed with this plan; the backend must not restart it."""

    exit_code = ExitCode.FATAL


class NotFound(SurrealError):
    """No such experiment, role or file."""

    exit_code = ExitCode.NOT_FOUND


class Stopping(SurrealError):
    """This process was asked to stop (signal, lost supervisor or end of run) while it waited."""

    exit_code = ExitCode.DONE


class Refused(SurrealError):
    """The peer refuses to talk to us: another protocol version, or our name is taken."""

    exit_code = ExitCode.FATAL


class Timeout(SurrealError):
    """A deadline given by the caller passed."""

    exit_code = ExitCode.TIMEOUT


class Unreachable(SurrealError):
    """The place of a run gives no answer now. Nothing is known of the run, which may well go on."""

    exit_code = ExitCode.UNREACHABLE


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ` (did you mean 'actor'?)` if a known name is close to `name`, else an empty string."""
    by_lower = {each.lower(): each for each in known}
    close = get_close_matches(str(name).lower(), by_lower, n=1, cutoff=0.6)
    return f" (did you mean {by_lower[close[0]]!r}?)" if close else ""
