"""A Stream beside gRPC streaming and Ray, in turns on one machine.

    python benchmarks beside.streams --peers DIR [--size 262144] [--rounds 5] [--seconds 1]

DIR holds one virtual environment per peer: DIR/grpc (grpcio, protobuf, numpy), DIR/rllib (ray, numpy). The message is
four float32 arrays; a stream's are acknowledged. `surreal bench protocol` is the comparison with raw pyzmq.
"""

import argparse
import statistics
import subprocess
from pathlib import Path

from rich.console import Console
from rich.table import Table

from surreal.protocol.bench.stream import measure

HERE = Path(__file__).parents[1]
PEERS = {"gRPC stream": ("grpc", "grpc_stream.py"), "Ray call": ("rllib", "ray_calls.py", "call"),
         "Ray put and get": ("rllib", "ray_calls.py", "put")}  # fmt: skip


def peer(folder: Path, name: str, size: int, seconds: float) -> float:
    """Messages per second of one peer, by its own interpreter."""
    environment, script, *words = PEERS[name]
    command = [str(folder / environment / "bin" / "python"), str(HERE / "peers" / "parts" / script), *words]
    done = subprocess.run([*command, str(size), str(seconds)], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, required=True)
    parser.add_argument("--size", type=int, default=2**18)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    options = parser.parse_args()
    rates: dict[str, list[float]] = {}
    for _ in range(options.rounds):
        rates.setdefault("Stream", []).append(measure("stream", options.size, options.seconds))
        for name in PEERS:
            rates.setdefault(name, []).append(peer(options.peers, name, options.size, options.seconds))
    table = Table("", "messages/s", "Stream is faster by", title=f"{options.size} bytes, {options.rounds} rounds")
    for name, values in rates.items():
        ratio = statistics.median(ours / theirs for ours, theirs in zip(rates["Stream"], values, strict=True))
        table.add_row(name, f"{statistics.median(values):,.0f}", f"{ratio:.1f}x")
    Console().print(table)


if __name__ == "__main__":
    main()
