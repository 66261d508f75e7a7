"""Code of one's own and a checkpoint to begin from, on their way to pods: in a ConfigMap, or in the run's store."""

import base64
import hashlib
from pathlib import Path

from surreal.orchestrator.backends.kube.manifests.network import store_url
from surreal.orchestrator.backends.kube.manifests.render import code_url, fits_a_config_map
from surreal.orchestrator.backends.kube.names import CODE_KEY, EXPERIMENT_KEY, query, selector
from surreal.orchestrator.backends.kube.run_folder.folder import RunFolder
from surreal.orchestrator.backends.kube.run_folder.store_source import StoreFiles
from surreal.orchestrator.backends.kube.status.snapshot import Snapshot
from surreal.orchestrator.plan.model import Plan
from surreal.orchestrator.run.code_archive import CONFIG_MAP_BYTES, Code, pack
from surreal.protocol.errors import InvalidInput, SurrealError
from surreal.protocol.worker.code_archive import MAX_UNPACKED_BYTES
from surreal.protocol.worker.object_store import ObjectStore
from surreal.provisioner.kube.client import Api


def send(plan: Plan, code: Code | None) -> None:
    """Copy code that no object holds to the run's store. Raises InvalidInput where the run has none."""
    if code and not fits_a_config_map(code):
        folder, _, archive = code_url(plan, code).rpartition("/")
        ObjectStore(folder).put_bytes(archive, code.data)


def packed_start(plan: Plan, start: Path) -> Code | None:
    """Pack the checkpoint in the folder `start` for a ConfigMap; None where the run's store takes it.

    Raises InvalidInput for one that is too large for that.
    """
    if store_url(plan):
        return None
    size = sum(path.stat().st_size for path in start.rglob("*") if path.is_file())
    if size <= MAX_UNPACKED_BYTES and fits_a_config_map(code := pack(start)):
        return code
    raise InvalidInput(
        f"--from: a checkpoint of {size:,} bytes fits no object of Kubernetes, which holds {CONFIG_MAP_BYTES:,}. "
        "Set spec.storage.url, which has room."
    )


def send_start(plan: Plan, start: Path) -> None:
    """Copy the checkpoint in the folder `start` to the run's store, if it has one. Raises StoreError."""
    if store := store_url(plan):
        for path in sorted(path for path in start.rglob("*") if path.is_file()):
            folder = f"{store}/checkpoints/{path.parent.relative_to(start).as_posix()}"
            ObjectStore(folder).put_bytes(path.name, path.read_bytes())


def sent(api: Api, plan: Plan) -> Code | None:
    """Return the code that a run was created with, for its next attempt; None where it brought none."""
    if not plan.code:
        return None
    prefix = f"{plan.name}-code-"
    for each in api.list("ConfigMap", query(selector(plan.name))):
        if each["metadata"]["name"].startswith(prefix) and CODE_KEY in (each.get("binaryData") or {}):
            return _code(base64.b64decode(each["binaryData"][CODE_KEY]))
    store = store_url(plan)
    with RunFolder(StoreFiles(store)) as folder:
        archives = sorted(folder.list("code-"), key=lambda file: file.modified) if store else []
        data = folder.read(archives[-1].name) if archives else None
    if data is None:
        raise SurrealError(f"{plan.name}: its code ({plan.code}) is gone. Create it anew under another name.")
    return _code(data)


def _code(data: bytes) -> Code:
    """Return the archive as `pack` made it, without its counts, which the cluster does not keep."""
    return Code(hashlib.sha256(data).hexdigest(), data, files=0, bytes=0, left_out=0)


def recorded(seen: Snapshot) -> tuple[Plan, str]:
    """Return the plan and the experiment file of a run. Raises InvalidInput where its objects are gone."""
    if not seen.root or not seen.plan:
        raise InvalidInput(
            f"{seen.name}: cannot go on: its objects are gone. Begin another run from its checkpoint: "
            f"surreal create FILE --from {seen.name}"
        )
    return seen.plan, str(seen.root["data"].get(EXPERIMENT_KEY, ""))
