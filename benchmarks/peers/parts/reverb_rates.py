"""dm-reverb with the work of benchmarks/speed/replay.py: one table in its own process, a writer or reader in this one.

    PEERS/reverb/bin/python benchmarks/peers/parts/reverb_rates.py insert|sample [--items 1000000] [--prioritized]

pip install "dm-reverb[tensorflow]==0.14.0" psutil. Transitions of 124 float32 twice, an action of 4, a reward and a
discount: each observation is sent once and an item spans two steps, as there.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import psutil
import reverb
import tensorflow as tf

OBSERVATION, ACTION, BATCH = 124, 4, 256


def serve(port: int, items: int, prioritized: bool) -> None:
    """Serve one table until killed."""
    sampler = reverb.selectors.Prioritized(0.6) if prioritized else reverb.selectors.Uniform()
    signature = {
        "observation": tf.TensorSpec([2, OBSERVATION], tf.float32),
        "action": tf.TensorSpec([ACTION], tf.float32),
        "reward": tf.TensorSpec([], tf.float32),
        "discount": tf.TensorSpec([], tf.float32),
    }
    table = reverb.Table(
        "replay", sampler, reverb.selectors.Fifo(), items, reverb.rate_limiters.MinSize(1), signature=signature
    )
    reverb.Server([table], port=port).wait()


def write(client: reverb.Client, most: int, until: float) -> int:
    """Insert up to `most` transitions, or until a moment; return their number."""
    rng = np.random.default_rng(0)
    steps = [
        {
            "observation": rng.normal(size=OBSERVATION).astype(np.float32),
            "action": rng.normal(size=ACTION).astype(np.float32),
            "reward": np.float32(1.0),
            "discount": np.float32(0.99),
        }
        for _ in range(256)
    ]
    count = 0
    with client.trajectory_writer(num_keep_alive_refs=2) as writer:
        writer.append(steps[0])
        while count < most and time.perf_counter() < until:
            for step in steps:
                writer.append(step)
                history = writer.history
                writer.create_item(
                    "replay",
                    1.0,
                    {
                        "observation": history["observation"][-2:],
                        "action": history["action"][-2],
                        "reward": history["reward"][-2],
                        "discount": history["discount"][-2],
                    },
                )
            count += len(steps)
            writer.flush(block_until_num_items=1024)
        writer.flush()
    return count


def sampled(port: int) -> Iterator[Any]:
    """Batches out of the table, several asked for ahead."""
    data = reverb.TrajectoryDataset.from_table_signature(
        f"localhost:{port}", "replay", max_in_flight_samples_per_worker=2 * BATCH
    )
    batches = iter(data.batch(BATCH).prefetch(4))
    for _ in range(20):
        next(batches)
    return batches


def take(batches: Iterator[Any], until: float) -> int:
    """Take batches until a moment; return their number."""
    count = 0
    while time.perf_counter() < until:
        next(batches)
        count += 1
    return count


def measure(options: argparse.Namespace, server: "psutil.Process") -> None:
    """Print one rate for each round."""
    client = reverb.Client(f"localhost:{options.port}")
    write(client, options.items if options.what == "sample" else 1024, time.perf_counter() + 3600)
    batches = sampled(options.port) if options.what == "sample" else iter(())
    print("ready", file=sys.stderr, flush=True)
    for _ in range(options.rounds):
        if options.turns and not sys.stdin.readline():
            return
        began, cpu = time.perf_counter(), sum(server.cpu_times()[:2])
        until = began + options.seconds
        count = write(client, 10**9, until) if options.what == "insert" else take(batches, until)
        span = time.perf_counter() - began
        what = "transitions" if options.what == "insert" else f"batches of {BATCH}"
        used = (sum(server.cpu_times()[:2]) - cpu) / span
        print(f"{options.what}: {count / span:,.0f} {what} a second, server's cores {used:.2f}", flush=True)


def main() -> None:
    """Measure a table in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["insert", "sample", "serve"])
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--prioritized", action="store_true")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--turns", action="store_true", help="wait for a line of input before each round")
    parser.add_argument("--port", type=int, default=18_765)
    options = parser.parse_args()
    if options.what == "serve":
        serve(options.port, options.items, options.prioritized)
        return
    words = ["serve", "--items", str(options.items), "--port", str(options.port)]
    words += ["--prioritized"] if options.prioritized else []
    server = psutil.Popen([sys.executable, __file__, *words])
    try:
        measure(options, server)
    finally:
        server.kill()
        server.wait()


if __name__ == "__main__":
    main()
