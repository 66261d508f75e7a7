"""The log of one pod as a stream that may be cut anywhere and goes on where it was: no line is lost, none comes twice.

Kubernetes begins a log at a whole second. So a stream remembers the time of its newest line and how many lines of that
very time it has given, and drops what comes again.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from surreal.orchestrator.backends.kube.names import ATTEMPT, FAILURES, IGNORED, WORKER
from surreal.orchestrator.backends.kube.status.snapshot import index_of, role_of
from surreal.orchestrator.run.log_files import LONGEST_LINE, LogLine
from surreal.protocol.wiring import ATTEMPT as INCARNATIONS
from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.kinds import Object
from surreal.provisioner.kube.objects import dig, name_of, number, rows

_STAMP = re.compile(r"(?P<second>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.(?P<fraction>\d{1,9}))?(?P<zone>Z|[+-]\d\d:\d\d) ")


NO_LOG = b"unable to retrieve container logs for "
"""Beginning of the kubelet's words, without a time, for a container that it has removed."""


class PodStream:
    """The log of one pod, from where it was last read. One thread reads at a time."""

    def __init__(self, api: Api, pod: Object) -> None:
        self.pod = name_of(pod)
        self.source = source_of(pod)
        self.newest = ""
        """Time of the newest line, as the cluster writes it, in full length."""
        self.complete = False
        """Has all been read of a process that has ended?"""
        self.failures = 0
        self._api = api
        self._same = 0
        self._response: Any = None

    def lines(self, follow: bool = False, tail: int | None = None) -> Iterator[LogLine]:
        """Yield the new lines. Raises SurrealError if there is no log, OSError or urllib3's HTTPError if cut."""
        since = self.newest[:19] + "Z" if self.newest else None
        response = self._api.log(self.pod, WORKER, follow=follow, since=since, tail=tail, timestamps=True)
        self._response = response
        newest, same, known = self.newest, self._same, 0
        catching_up = bool(newest)
        with closing(response):
            for line in cut(response.stream(None)):
                if line.startswith(NO_LOG):
                    continue
                stamp, text = _parted(line, self.newest)
                if catching_up and stamp == newest:
                    known += 1
                if catching_up and (stamp < newest or (stamp == newest and known <= same)):
                    continue
                catching_up = False
                self._same = self._same + 1 if stamp == self.newest else 1
                self.newest = stamp
                yield LogLine(self.source, text, _time(stamp))

    def cut(self) -> None:
        """End the stream for the thread that reads it."""
        with suppress(ValueError, RuntimeError, OSError, AttributeError):
            self._response.shutdown()


def source_of(pod: Object) -> str:
    """Return the process that a pod runs, such as `actor/3`."""
    return f"{role_of(pod)}/{index_of(pod)}"


def incarnation_of(pod: Object) -> int:
    """Return the number of the start of its process that a pod is; the pod's own process counts the same way."""
    attempt, failures, ignored = (number(pod, "metadata", "annotations", each) for each in (ATTEMPT, FAILURES, IGNORED))
    return attempt * INCARNATIONS + failures + ignored


def has_log(pod: Object) -> bool:
    """Return whether the process of a pod has begun, so that there is a log."""
    return any(dig(state, each) for state in _states(pod) for each in ("running", "terminated"))


def has_ended(pod: Object) -> bool:
    """Return whether the log is complete: the process has ended."""
    return any(dig(state, "terminated") for state in _states(pod))


def _states(pod: Object) -> list[Any]:
    return [each.get("state") for each in rows(pod, "status", "containerStatuses") if each.get("name") == WORKER]


def cut(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield lines without their ends. An overlong line comes in pieces, and the last line may lack its end."""
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield from lines
        while len(rest) > LONGEST_LINE:
            yield rest[:LONGEST_LINE]
            rest = rest[LONGEST_LINE:]
    if rest:
        yield rest


def _parted(line: bytes, last: str) -> tuple[str, str]:
    """Split a line into time and text. Times are in UTC and of one length, so that they compare as strings do."""
    text = line.decode(errors="replace").rstrip("\r")
    found = _STAMP.match(text)
    if not found:
        return last, text  # what the node says instead of a log
    try:
        at = datetime.fromisoformat(found["second"] + found["zone"]).astimezone(UTC)
    except ValueError:
        return last, text
    return f"{at:%Y-%m-%dT%H:%M:%S}.{found['fraction'] or '':0<9}", text[found.end() :]


def _time(stamp: str) -> datetime | None:
    if not stamp:
        return None
    second, _, fraction = stamp.partition(".")
    return datetime.fromisoformat(second + "+00:00") + timedelta(microseconds=int(fraction[:6]))
