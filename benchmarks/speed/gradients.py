"""Sums of gradients over several learners: the stream `gradients` beside torch.distributed's gloo, in turns.

    python benchmarks speed.gradients [--learners 2] [--rounds 5] [--seconds 1] [--transport ipc]

Each learner is a process that adds vectors as fast as it can; a row is one size of vector. The sizes are those of two
networks of 16-16 and 64-64 tanh units on 17 numbers, of 256-256, and of a Nature CNN. `tcp+curve` is what a cluster
has: encrypted, and admitted by key. gloo has no keys. With more learners than cores both wait for the scheduler.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from surreal.algorithms.group.exchange import CHANNEL, Group
from surreal.protocol.graph import Stream
from surreal.protocol.transport.curve_keys import make_key_files
from surreal.protocol.wiring import ChannelWiring, Wiring
from surreal.protocol.worker.process import Process
from surreal.protocol.worker.session import Session

SIZES = (1_300, 10_900, 142_000, 1_690_000)
KINDS = ("stream", "gloo")
WARM = 20


def ours(folder: str, rank: int, learners: int, transport: str, size: int, seconds: float) -> float:
    """Sums per second of one learner over the stream."""
    port = int(Path(folder, "port").read_text())

    def address(number: int) -> str:
        return f"ipc://{folder}/{number}" if transport == "ipc" else f"tcp://127.0.0.1:{port + number}"

    gradients = ChannelWiring(
        **vars(Stream(CHANNEL, "learner", "learner")), addresses=tuple(map(address, range(learners)))
    )
    wiring = Wiring(
        experiment="bench", role="learner", index=rank, incarnation=1, run="m:f", replicas={"learner": learners},
        channels={CHANNEL: gradients}, control=address(learners), serves_control=rank == 0, control_role="learner",
        run_folder=folder, seed=1, keys=f"{folder}/keys.json" if "curve" in transport else "",
    )  # fmt: skip
    with Session(wiring) as session:
        group = Group(Process(session))
        group.join()
        return counted(lambda vector: group.total(vector), group.total, size, seconds)


def gloo(folder: str, rank: int, learners: int, transport: str, size: int, seconds: float) -> float:
    """Sums per second of one process over gloo, which speaks TCP whatever `transport` says."""
    import torch
    from torch import distributed

    distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=learners)

    def total(vector: np.ndarray) -> np.ndarray:
        tensor = torch.from_numpy(vector)
        distributed.all_reduce(tensor)
        return tensor.numpy()

    return counted(lambda vector: total(vector.copy()), total, size, seconds)


def counted(add, agree, size: int, seconds: float) -> float:  # type: ignore[no-untyped-def]
    """Add until all have added for `seconds`; return sums per second."""
    vector = np.ones(size, dtype=np.float32)
    for _ in range(WARM):
        found = add(vector)
    number, began, going = 0, time.perf_counter(), True
    while going:
        for _ in range(10):
            found = add(vector)
        number += 10
        # all stop after the same number: one that is out of time says so in the next sum
        going = agree(np.array([float(time.perf_counter() - began >= seconds)], dtype=np.float32))[0] == 0
    assert (found == found[0]).all() and found[0] >= 2
    return number / (time.perf_counter() - began)


def measure(kind: str, learners: int, transport: str, size: int, seconds: float) -> float:
    """Sums per second with `learners` processes."""
    with tempfile.TemporaryDirectory(prefix="s") as folder:
        Path(folder, "port").write_text(str(20_000 + os.getpid() % 10_000))
        Path(folder, "keys.json").write_text(make_key_files(["learner"])["learner"])
        Path(folder, "keys.json").chmod(0o600)
        command = [sys.executable, "-P", __file__, "--member", kind, folder]
        rest = [str(learners), transport, str(size), str(seconds)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        members = [
            subprocess.Popen([*command, str(rank), *rest], stdout=subprocess.PIPE, text=True, env=environment)
            for rank in range(learners)
        ]
        return float(members[0].communicate()[0].split()[-1])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--learners", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--transport", choices=("ipc", "tcp", "tcp+curve"), default="ipc")
    options = parser.parse_args()
    title = f"{options.learners} learners, {options.transport}, median of {options.rounds} rounds"
    table = Table("numbers", "stream, us", "gloo, us", "stream is faster by", title=title)
    for size in SIZES:
        pairs = [
            [measure(kind, options.learners, options.transport, size, options.seconds) for kind in KINDS]
            for _ in range(options.rounds)
        ]
        stream, other = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratio = statistics.median(one / two for one, two in pairs)
        table.add_row(f"{size:,}", f"{1e6 / stream:,.0f}", f"{1e6 / other:,.0f}", f"{ratio:.2f}x")
    Console().print(table)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--member"]:
        kind, folder, rank, learners, transport, size, seconds = sys.argv[2:]
        run = {"stream": ours, "gloo": gloo}[kind]
        print(run(folder, int(rank), int(learners), transport, int(size), float(seconds)))
    else:
        main()
