"""Connection of this process to a Ray cluster, and the errors of Ray in sentences."""

import importlib.util
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any

from surreal.orchestrator.backends.ray.connection import own_ray
from surreal.orchestrator.backends.ray.connection.address import (
    CLIENT,
    OWN,
    Address,
    named_address,
    token_source,
    use_token,
)
from surreal.orchestrator.backends.ray.connection.quiet import quieten, without_words_of_ray
from surreal.orchestrator.run.follow_status import PATIENCE_S
from surreal.orchestrator.run.location import Location
from surreal.protocol.errors import InvalidInput, SurrealError, Unreachable

NAMESPACE = "surreal"
"""Namespace of the names of all supervisors."""
CALL_SECONDS = 60.0
"""Seconds for an answer of a supervisor that lives; starting one on a busy machine takes some."""
CREATION = "raised in its creation task"
"""Words of Ray before the traceback of an actor that could not be made."""
_joining = Lock()
"""A process joins a cluster once, also where threads of it look at several runs."""
_VERSIONS = re.compile(
    r"cluster was started with:\s*Ray: (\S+)\s*Python: (\S+).*with:\s*Ray: (\S+)\s*Python: (\S+)", re.S
)


def require_ray() -> Any:
    """Return the module ray. Raises InvalidInput where it is not installed."""
    if importlib.util.find_spec("ray") is None:
        raise InvalidInput("--on ray: needs Ray, which is not installed here. Run pip install 'surreal[ray]'.")
    # reports of use go to Ray's makers unless this says otherwise
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # beyond this Ray ends the process, without a word: commands wait longer for a cluster that comes back
    os.environ.setdefault("RAY_gcs_rpc_server_reconnect_timeout_s", str(int(PATIENCE_S)))
    import ray

    return ray


@dataclass(frozen=True)
class Cluster:
    """A Ray cluster that this process is connected to."""

    ray: Any
    location: Location
    """Location with the address under which other commands find it."""
    address: str
    own: bool = False
    """True for one that surreal started on this machine."""

    def call(self, reference: Any, seconds: float = CALL_SECONDS) -> Any:
        """Return the answer of an actor. Raises its SurrealError, and Unreachable where it gives none."""
        errors = self.ray.exceptions
        try:
            return self.ray.get(reference, timeout=seconds)
        except errors.RayTaskError as error:
            if isinstance(error.cause, SurrealError):
                raise error.cause from None
            raise
        except errors.GetTimeoutError:
            raise Unreachable(
                f"{self.location.on}: no answer for {seconds:.0f} s. Check its head: ray status"
            ) from None
        except (errors.RayActorError, ConnectionError) as error:
            raise Unreachable(f"{self.location.on}: {first_line(error)}. Check its head: ray status") from None

    def nodes(self) -> list[dict[str, Any]]:
        """Return the nodes that live, as Ray describes them."""
        return [node for node in self.ray.nodes() if node["Alive"]]

    def free(self) -> dict[str, dict[str, float]]:
        """Return node id -> what is free on it; empty where only the cluster's own nodes may ask (Ray Client)."""
        if self.address.startswith(CLIENT):
            return {}
        from ray._private.state import available_resources_per_node

        ask: Callable[[], dict[str, dict[str, float]]] = available_resources_per_node
        return ask()


def connect(location: Location, start: bool = False) -> Cluster:
    """Connect to the cluster of a location; `start` starts one here if none is named and none of ours runs.

    Raises InvalidInput where it can never be used, and Unreachable where nothing answers.
    """
    address, own = named_address(location.address), None
    if address is None:
        own = own_ray.running() or (own_ray.start() if start else None)
        if own is None:
            raise Unreachable("--on ray: no Ray that surreal started runs here. Give --on ray:ADDRESS.")
        address = Address.parse(own.address)
    else:
        own = own_ray.running()
        own = own if own and own.address == str(address) else None
    if own:
        own.use_token()
    ray = require_ray_with_token()
    with _joining:
        if not ray.is_initialized():
            address.try_to_connect()
            _initialize(ray, address)
    return Cluster(ray, Location.of(f"ray:{OWN if own else address}"), str(address), bool(own))


def starts_its_own(location: Location) -> bool:
    """Return True where a run would start a Ray on this machine: no cluster is named, and none of ours runs."""
    return named_address(location.address) is None and own_ray.running() is None


def require_ray_with_token() -> Any:
    """Return the module ray, which sends the token that is there."""
    use_token()
    return require_ray()


def _initialize(ray: Any, address: Address) -> None:
    """Join the cluster. Raises InvalidInput or Unreachable, in a sentence."""
    quieten()
    try:
        with without_words_of_ray():
            ray.init(
                address=str(address),
                namespace=NAMESPACE,
                log_to_driver=False,
                logging_level="ERROR",
                configure_logging=False,
            )
    except Exception as error:
        raise translated(error, address) from None


def translated(error: Exception, address: Address) -> SurrealError:
    """Return an error of Ray's own as a sentence that says what to do."""
    text, place = str(error), f"--on ray:{address}"
    if found := _VERSIONS.search(text):
        ray, python, our_ray, our_python = found.groups()
        return InvalidInput(
            f"{place}: the cluster runs Ray {ray} on Python {python}, this is Ray {our_ray} on Python {our_python}; "
            "Ray wants both equal. Nothing was sent: run surreal in an environment like the cluster's."
        )
    if type(error).__name__ == "AuthenticationError" or "nauthenticated" in text:
        has = token_source()
        why = f"the token of {has} is not the cluster's" if has else "the cluster wants a token, and there is none here"
        return InvalidInput(
            f"{place}: {why}. Take it from the head (`ray get-auth-token` there) into ~/.ray/auth_token."
        )
    if "node_ip_address" in text or "matched Raylet" in text or "find_node_ip" in text:
        return InvalidInput(
            f"{place}: this machine is no node of that cluster. Give ray://{address.host}:10001, or run it on a node."
        )
    if isinstance(error, ConnectionError | TimeoutError | RuntimeError):
        # Ray says of a wrong token, depending on when it noticed, that it got no answer.
        has = token_source()
        token = f"the token of {has} is not its own" if has else "it wants a token and ~/.ray/auth_token is not there"
        return Unreachable(
            f"{place}: what listens there is no Ray that answers, or {token}: {first_line(error)}. Check both."
        )
    return SurrealError(f"{place}: {type(error).__name__}: {first_line(error)}")


def first_line(error: BaseException) -> str:
    """Return the line of an error that says most: the first, or the exception where an actor could not be made."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if lines and CREATION in lines[0]:
        return lines[-1][:300]
    return (lines[0] if lines else type(error).__name__)[:300]
