"""The wiring files of a run in a cluster: one for each role, since a pod knows its own index."""

import json
from dataclasses import asdict, replace

from surreal.orchestrator.kube.names import CODE_FOLDER, KEYS_FOLDER, RUN_FOLDER, TERMINATION
from surreal.orchestrator.kube.network import Network
from surreal.orchestrator.plan import Plan, PlannedRole
from surreal.orchestrator.wiring import wire
from surreal.protocol.wiring import Wiring


def wiring_files(network: Network, has_code: bool) -> dict[str, str]:
    """Role -> the content of the wiring file that all its pods read."""
    return {role.name: json.dumps(asdict(_wiring(network, role, has_code)), indent=1) for role in network.plan.roles}


def _wiring(network: Network, role: PlannedRole, has_code: bool) -> Wiring:
    plan = network.plan
    return replace(
        wire(plan, role, network.channels, network, RUN_FOLDER),
        keys=f"{KEYS_FOLDER}/{role.name}.json",
        code=CODE_FOLDER if has_code else "",
        prometheus=f"0.0.0.0:{plan.prometheus_port}" if plan.prometheus_port else "",
        logs=True,
        store=store_url(plan) if role.ends_run else "",
        termination=TERMINATION,
    )


def store_url(plan: Plan) -> str:
    """The folder of the run in its object store; empty without one."""
    return f"{plan.storage.url.rstrip('/')}/{plan.name}" if plan.storage.url else ""
