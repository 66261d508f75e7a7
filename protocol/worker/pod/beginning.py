"""Beginning of a run in a cluster at a checkpoint of another one, which came along packed."""

import os
import shutil
from pathlib import Path

from surreal.protocol.wiring import Wiring
from surreal.protocol.worker.code_archive import read, unpack


def begin_at_checkpoint(wiring: Wiring) -> None:
    """Unpack the checkpoint that the run begins from into its folder, unless it has one of its own by now.

    Raises Fatal for an archive that is not the one that was sent, OSError where the folder has no room.
    """
    kept = Path(wiring.run_folder, "checkpoints")
    if any(kept.glob("step-*")):
        return
    unpacked = Path(wiring.run_folder, ".start")
    unpack(read(wiring.start_archive), unpacked, wiring.start_digest)
    kept.mkdir(exist_ok=True)
    for step in sorted(unpacked.glob("step-*")):
        os.replace(step, kept / step.name)
    shutil.rmtree(unpacked)
