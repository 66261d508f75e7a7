"""Code that is too large for an object of the cluster goes by the run's store, and comes back for a resume."""

import os
from pathlib import Path

from surreal.orchestrator.backends.kube.lifecycle import code as own_code
from surreal.orchestrator.plan.model import Plan, PlannedStorage
from surreal.orchestrator.run.code_archive import pack
from surreal.protocol.worker.code_archive import unpack
from tests.orchestrator.kube.apiserver import api_server
from tests.orchestrator.runs import plan


def with_code(url: str) -> Plan:
    storage = PlannedStorage(kind="url", url=url)
    return plan("toy").model_copy(update={"code": "./mine", "storage": storage})


def test_large_code_travels_by_the_store(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "table.bin").write_bytes(os.urandom(1_000_000))
    packed, planned = pack(mine), with_code(f"file://{tmp_path}/store")
    own_code.send(planned, packed)
    with api_server(tmp_path) as server:
        found = own_code.sent(server.api(), planned)
    assert found and found.digest == packed.digest
    unpack(found.data, tmp_path / "there", found.digest)
    assert (tmp_path / "there" / "table.bin").read_bytes() == (mine / "table.bin").read_bytes()
