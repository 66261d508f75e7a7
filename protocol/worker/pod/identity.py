"""The identity of a process in a pod: all pods of a role read one wiring, and Kubernetes tells each its index."""

import os
from collections.abc import Mapping
from dataclasses import replace

from surreal.protocol.errors import Fatal
from surreal.protocol.wiring import ATTEMPT, Wiring

INDEX_VARIABLE = "JOB_COMPLETION_INDEX"
"""Kubernetes sets it in every pod of an Indexed Job."""
ATTEMPT_VARIABLE, FAILURES_VARIABLE, IGNORED_VARIABLE = "SURREAL_ATTEMPT", "SURREAL_FAILURES", "SURREAL_IGNORED"
"""1 and one more for each resume; how often this index failed in this attempt, counted by Kubernetes or not."""
SESSION_VARIABLE = "SURREAL_SESSION"
"""A number that PID 1 draws: after a crash it can speak once more for the worker."""


def in_pod(environ: Mapping[str, str]) -> bool:
    """Return True inside a pod that surreal created. Do not test JOB_COMPLETION_INDEX: a local run may be in a Job."""
    return ATTEMPT_VARIABLE in environ


def with_pod_identity(wiring: Wiring, environ: Mapping[str, str]) -> Wiring:
    """Return the wiring of this very process in a pod: with its index and incarnation.

    Raises Fatal if the variables make no sense.
    """
    if INDEX_VARIABLE not in environ:
        raise Fatal(
            f"{INDEX_VARIABLE}: is not set, so this {wiring.role} is no pod of an Indexed Job. "
            "Start it by `surreal create`."
        )
    index, replicas = _count(environ, INDEX_VARIABLE), wiring.replicas.get(wiring.role, 0)
    if index >= replicas:
        raise Fatal(f"{INDEX_VARIABLE}: {index} is too large: {wiring.role} has {replicas} processes. Resume the run.")
    before = _count(environ, FAILURES_VARIABLE) + _count(environ, IGNORED_VARIABLE)
    if before >= ATTEMPT:
        raise Fatal(
            f"{wiring.role}/{index}: failed {before} times in this attempt, the limit is {ATTEMPT}. Resume the run."
        )
    return replace(
        wiring,
        index=index,
        incarnation=_count(environ, ATTEMPT_VARIABLE) * ATTEMPT + before,
        serves_control=wiring.role == wiring.control_role and index == 0,
        session=int(environ.get(SESSION_VARIABLE, "0"), 16),
    )


def draw_session() -> None:
    """Draw the number of this pod's session, for this process and its children."""
    os.environ[SESSION_VARIABLE] = f"{int.from_bytes(os.urandom(8)) >> 1:x}"


def failures_before(environ: Mapping[str, str]) -> int:
    """Return how many failures of this process Kubernetes has counted in this attempt; 0 outside a pod."""
    return _count(environ, FAILURES_VARIABLE)


def _count(environ: Mapping[str, str], name: str) -> int:
    """Return the number in a variable; 0 if it is missing or empty, as an absent annotation is."""
    text = environ.get(name, "")
    if text and not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise Fatal(f"{name}: {text[:40]!r} is no number that Kubernetes sets. Start the pod by `surreal create`.")
    return int(text or 0)
