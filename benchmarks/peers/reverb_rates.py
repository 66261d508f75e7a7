"""dm-reverb with the work of benchmarks/replay.py: one table in its own process, a writer or reader in this one.

    PEERS/reverb/bin/python benchmarks/peers/reverb_rates.py insert|sample [--items 1000000] [--prioritized]

pip install "dm-reverb[tensorflow]==0.14.0". Transitions of 124 float32 twice, an action of 4, a reward and a discount:
each observation is sent once and an item spans two steps, as there.
"""

import argparse
import subprocess
import sys
import time

import numpy as np
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


def sample(port: int, seconds: float) -> float:
    """Batches a second out of the table."""
    data = reverb.TrajectoryDataset.from_table_signature(
        f"localhost:{port}", "replay", max_in_flight_samples_per_worker=2 * BATCH
    )
    batches = iter(data.batch(BATCH).prefetch(4))
    for _ in range(20):
        next(batches)
    began, count = time.perf_counter(), 0
    while time.perf_counter() < began + seconds:
        next(batches)
        count += 1
    return count / (time.perf_counter() - began)


def main() -> None:
    """Print one rate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["insert", "sample", "serve"])
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--prioritized", action="store_true")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--port", type=int, default=18_765)
    options = parser.parse_args()
    if options.what == "serve":
        serve(options.port, options.items, options.prioritized)
        return
    words = ["serve", "--items", str(options.items), "--port", str(options.port)]
    words += ["--prioritized"] if options.prioritized else []
    server = subprocess.Popen([sys.executable, __file__, *words])
    try:
        client = reverb.Client(f"localhost:{options.port}")
        write(client, 1024, time.perf_counter() + 600)
        if options.what == "insert":
            began = time.perf_counter()
            count = write(client, 10**9, began + options.seconds)
            print(f"insert: {count / (time.perf_counter() - began):,.0f} transitions a second")
        else:
            write(client, options.items, time.perf_counter() + 600)
            print(f"sample: {sample(options.port, options.seconds):,.0f} batches of {BATCH} a second")
    finally:
        server.kill()
        server.wait()


if __name__ == "__main__":
    main()
