"""Ray: one actor sends messages of four float32 arrays to another, by calls or by put and get, for some seconds.

Run by an interpreter that has ray and numpy: `ray_calls.py call|put SIZE SECONDS`; prints messages per second. Calls
are pipelined, up to 16 under way.
"""

import sys
import time

import numpy as np
import ray

UNDER_WAY = 16
WARM = 0.2


@ray.remote
class Receiver:
    """Takes messages."""

    def take(self, arrays: dict[str, np.ndarray]) -> int:
        return len(arrays)


@ray.remote
class Sender:
    """Sends for some seconds and counts."""

    def send(self, receiver: "ray.ObjectRef", how: str, size: int, seconds: float) -> float:
        arrays = {f"array{i}": np.ones(size // 16, np.float32) for i in range(4)}
        under_way: list[ray.ObjectRef] = []
        began, count = time.monotonic(), 0
        while (now := time.monotonic()) < began + seconds:
            under_way.append(receiver.take.remote(ray.put(arrays) if how == "put" else arrays))
            if len(under_way) >= UNDER_WAY:
                ray.get(under_way.pop(0))
                count += now >= began + WARM * seconds
        return count / (seconds * (1 - WARM))


if __name__ == "__main__":
    how, size, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    ray.init(num_cpus=2, log_to_driver=False, include_dashboard=False, logging_level="ERROR")
    receiver, sender = Receiver.remote(), Sender.remote()
    ray.get(sender.send.remote(receiver, how, size, 0.3))
    print(ray.get(sender.send.remote(receiver, how, size, seconds)), flush=True)
    ray.shutdown()
