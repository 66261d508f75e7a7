"""Speed of what learns from datasets: batches read, and updates by engine and beside CORL's.

    python benchmarks speed.offline read [--megabytes 400] [--foreign]   batches of 256 against raw h5py
    python benchmarks speed.offline updates --python PYTHON --script td3_bc.py [--threads 2]   TD3+BC against CORL's
    python benchmarks speed.offline engines   updates by hand against those by torch's autograd

Set OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1; `--threads` are those of each of both. Ratios are medians of rounds in
turn.
"""

import argparse
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from gymnasium import spaces

from surreal.algorithms.datasets.batches import batches
from surreal.algorithms.datasets.episode import Episode
from surreal.algorithms.datasets.fragments import Fragments
from surreal.algorithms.datasets.index import INDEX_FILE
from surreal.algorithms.datasets.minari import MAIN, MinariDataset
from surreal.algorithms.datasets.writing.minari import DatasetWriter
from surreal.algorithms.environments.spaces import Spaces
from surreal.algorithms.offline.config import AWACConfig, BCConfig, CQLConfig, CRRConfig, IQLConfig, TD3BCConfig
from surreal.algorithms.offline.method import Method
from surreal.algorithms.offline.state import State
from surreal.algorithms.offpolicy.updates.base import Engine, Settings
from surreal.algorithms.replay.buffer import ReplayBuffer
from surreal.protocol.wire.packet import Message

Arrays = dict[str, Any]
BATCH, STEPS = 256, 1_000


def set_of(folder: Path, megabytes: int) -> Path:
    """Write episodes of 1,000 steps, 17 + 6 numbers as MuJoCo gives them: 0.2 MB each."""
    rng, box = np.random.default_rng(0), spaces.Box(-np.inf, np.inf, (17,), np.float64)
    with DatasetWriter(folder, "bench/read-v0", box, spaces.Box(-1, 1, (6,), np.float32)) as writer:
        for number in range(megabytes * 1_000_000 // 170_000):
            seen, actions = rng.standard_normal((STEPS + 1, 17)), rng.random((STEPS, 6), dtype=np.float32)
            writer.add(Episode("x", seen, actions, rng.random(STEPS), False, True, number))
    return folder


def ours(folder: Path) -> tuple[float, float]:
    """Return (bytes of the file, bytes of the batches) a second, all of the dataset read once in shuffled batches."""
    began, given = time.perf_counter(), 0
    with closing(MinariDataset(str(folder))) as found:
        for batch in batches(found, BATCH, np.random.default_rng(1)):
            given += sum(array.nbytes for array in batch.values())
    seconds = time.perf_counter() - began
    return (folder / "data" / MAIN).stat().st_size / seconds, given / seconds


def raw(folder: Path) -> tuple[float, float]:
    """Return the same of h5py alone: every array read, batches cut from it in the order of the file, unshuffled."""
    began, given, path = time.perf_counter(), 0, folder / "data" / MAIN
    with h5py.File(path, "r") as file:
        for name in file:
            group = file[name]
            seen, rest = group["observations"][()], [group[key][()] for key in ("actions", "rewards", "terminations")]
            for start in range(0, STEPS, BATCH):
                end = min(start + BATCH, STEPS)
                parts = [seen[start:end], seen[start + 1 : end + 1], *(each[start:end] for each in rest)]
                given += sum(np.array(part).nbytes for part in parts)
    seconds = time.perf_counter() - began
    return path.stat().st_size / seconds, given / seconds


def read(options: argparse.Namespace) -> None:
    """Print megabytes a second of both, in turn."""
    with tempfile.TemporaryDirectory() as name:
        folder = set_of(Path(name, "set"), options.megabytes)
        if options.foreign:  # a set that Minari wrote has no index of ours
            (folder / "data" / INDEX_FILE).unlink()
        found = [(ours(folder), raw(folder)) for _ in range(options.rounds)]
    for index, what in enumerate(("of the file", "of batches")):
        mine, theirs = (statistics.median(each[side][index] for each in found) / 1e6 for side in (0, 1))
        ratio = statistics.median(each[0][index] / each[1][index] for each in found)
        print(f"MB/s {what}: surreal {mine:,.0f}, raw h5py {theirs:,.0f}, ratio {ratio:.2f}")


def updates(options: argparse.Namespace) -> None:
    """Print updates a second of both, in turn."""
    peer = Path(__file__).parents[1] / "peers" / "parts" / "corl_td3bc.py"
    command = [options.python, str(peer), options.script, str(options.threads)]
    config = TD3BCConfig(dataset="x", device="cpu", threads=options.threads)
    state = State(Method("td3bc", config, Spaces.flat(17, 6, False)), 1)
    rng = np.random.default_rng(0)
    buffer = filled([synthetic(rng) for _ in range(100)], Spaces.flat(17, 6, False), 110_000)
    ones = np.ones(BATCH, dtype=np.float32)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin and process.stdout
        process.stdout.readline()  # the size of its dataset
        found = []
        for _ in range(options.rounds + 1):
            began = time.perf_counter()
            for _ in range(options.updates):
                state.learn(buffer.batch(BATCH)[1], ones)
            mine = options.updates / (time.perf_counter() - began)
            process.stdin.write(f"{options.updates}\n")
            process.stdin.flush()
            found.append((mine, options.updates / float(process.stdout.readline())))
        process.stdin.close()
    found = found[1:]  # the first warms both
    mine, theirs = (statistics.median(each[side] for each in found) for side in (0, 1))
    print(f"updates/s: surreal {mine:.0f}, CORL {theirs:.0f}, ratio {statistics.median(a / b for a, b in found):.2f}")


def engines(options: argparse.Namespace) -> None:
    """Print updates a second by hand and by torch on this CPU, in turn; random networks, the same batches."""
    spaces, rng = Spaces.flat(17, 6, False), np.random.default_rng(0)
    buffer = filled([synthetic(rng) for _ in range(20)], spaces, 22_000)
    ones = np.ones(BATCH, dtype=np.float32)
    for name, config in (("iql", IQLConfig()), ("awac", AWACConfig()), ("crr", CRRConfig()), ("cql", CQLConfig())):
        both = [State(Method(name, config.model_copy(update={"device": "cpu"}), spaces), 1) for _ in range(2)]
        both[1].engine = by_torch(both[1].method, both[1].engine)
        found = []
        for _ in range(options.rounds + 1):
            seconds = []
            for state in both:
                began = time.perf_counter()
                for _ in range(options.updates):
                    state.learn(buffer.batch(BATCH)[1], ones)
                seconds.append(time.perf_counter() - began)
            found.append(seconds)
        hand, torched = (options.updates / statistics.median(each[side] for each in found[1:]) for side in (0, 1))
        ratio = statistics.median(each[1] / each[0] for each in found[1:])
        print(f"{name}: updates/s by hand {hand:.0f}, by torch {torched:.0f}, ratio {ratio:.2f}")


def by_torch(method: Method, byhand: Engine) -> Engine:
    """Return the engine that a learner on a GPU has, here on the CPU, with the parameters of the one by hand."""
    from surreal.algorithms.offline.updates.conservative import Conservative
    from surreal.algorithms.offline.updates.weighted import Implicit, Weighted

    config, arrays, shape = method.config, byhand.arrays(), method.shape()
    vectors = arrays["actor"], arrays["critics"]
    if isinstance(config, CQLConfig):
        return Conservative(
            shape, Settings(target_entropy=-float(shape.spaces.action)), vectors, "cpu", config.conservatism
        )
    if isinstance(config, IQLConfig):
        return Implicit(shape, config, vectors, arrays["values"])
    assert isinstance(config, AWACConfig | CRRConfig)
    return Weighted(shape, config, vectors)


def synthetic(rng: np.random.Generator) -> Episode:
    """Return a random episode of HalfCheetah's sizes."""
    actions = np.tanh(rng.standard_normal((STEPS, 6), dtype=np.float32))
    return Episode("x", rng.standard_normal((STEPS + 1, 17)), actions, rng.standard_normal(STEPS), False, True)


def filled(episodes: Iterable[Episode], found: Spaces, capacity: int, seed: int = 2) -> ReplayBuffer:
    """Return a replay shard with these episodes; `seed` is that of its batches."""
    settings = BCConfig(capacity=capacity).replay(1)
    buffer, fragments = ReplayBuffer(settings, np.random.default_rng(seed)), Fragments(found)
    for number, episode in enumerate(episodes):
        for arrays in fragments.of(episode):
            buffer.insert(Message("x", number, 0, (0, 0), {}, arrays))
    return buffer


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True)
    reading, updating, both = (verbs.add_parser(name) for name in ("read", "updates", "engines"))
    reading.add_argument("--megabytes", type=int, default=400)
    reading.add_argument("--rounds", type=int, default=5)
    reading.add_argument("--foreign", action="store_true", help="without the index that sets of ours have")
    reading.set_defaults(run=read)
    updating.add_argument("--python", required=True)
    updating.add_argument("--script", required=True)
    updating.add_argument("--threads", type=int, default=1, help="of each of both")
    updating.add_argument("--updates", type=int, default=200)
    updating.add_argument("--rounds", type=int, default=7)
    updating.set_defaults(run=updates)
    both.add_argument("--updates", type=int, default=20)
    both.add_argument("--rounds", type=int, default=5)
    both.set_defaults(run=engines)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
