"""Replay beside dm-reverb, in turns: the same transitions, both filled and at rest before the first round.

    python benchmarks beside.replay --peer DIR/bin/python insert|sample [--items 1000000] [--prioritized] [--rounds 3]

`speed/replay.py` and `peers/parts/reverb_rates.py` each measure a round when this script lets them.
"""

import argparse
import subprocess
import sys
import threading
from pathlib import Path

HERE = Path(__file__).parents[1]


class Turns:
    """A benchmark that measures one round for each line that it reads."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def ready(self) -> None:
        """Wait until it is filled. Raises RuntimeError where it ends before."""
        assert self._process.stderr is not None
        said = []
        for line in self._process.stderr:
            if line.strip() == "ready":
                # the library warns without end: a pipe that nobody reads is full one day, and its writer waits for ever
                threading.Thread(target=self._process.stderr.read, daemon=True).start()
                return
            said.append(line)
        raise RuntimeError("".join(said[-20:]))

    def round(self) -> str:
        """Return what the next round says."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    def close(self) -> None:
        """Let it end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)


def main() -> None:
    """Fill both, then let them take turns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["insert", "sample"])
    parser.add_argument("--peer", type=Path, required=True, help="interpreter that has dm-reverb")
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--prioritized", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--hold", action="store_true", help="wait for Enter when both are filled")
    args = parser.parse_args()
    words = [args.what, "--turns", "--rounds", str(args.rounds), "--items", str(args.items)]
    words += ["--prioritized"] if args.prioritized else []
    both = {
        "surreal": Turns([sys.executable, str(HERE), "speed.replay", *words]),
        "dm-reverb": Turns([str(args.peer), str(HERE / "peers" / "parts" / "reverb_rates.py"), *words]),
    }
    for each in both.values():
        each.ready()
    if args.hold:
        input("both are filled: ")
    for _ in range(args.rounds):
        for name, each in both.items():
            print(f"{name}: {each.round()}", flush=True)
    for each in both.values():
        each.close()


if __name__ == "__main__":
    main()
