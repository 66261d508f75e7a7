"""The ledger of a stream under faults: who sent what, what is acknowledged, what was handed over.

Senders and receivers are processes that write books (`programs/ledger.py` says how). The rules, for every session of a
sender, over the lives of the receiver:

1. a life is handed consecutive messages, each as it was sent;
2. a life is handed nothing that was known to be acknowledged before that life began;
3. everything that is known to be acknowledged was handed over, and nothing is missing between two lives, except one
   message for each life that was killed: it was just being handed over, acknowledged, and not in the book yet.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

PROGRAM = Path(__file__).parent / "programs" / "ledger.py"
SEED = "SURREAL_CHAOS_SEED"
Session = tuple[str, int]


def chance() -> random.Random:
    """Randomness of which the seed is printed, and given by SURREAL_CHAOS_SEED to see the same faults again."""
    seed = int(os.environ.get(SEED) or random.randrange(2**32))
    print(f"to see the same schedule again: {SEED}={seed}")
    return random.Random(seed)


@dataclass
class Life:
    """What one receiver was handed."""

    incarnation: int
    began: float
    handed: dict[Session, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))


@dataclass
class Sent:
    """What one session sent (number -> checksum), and (how many it knew to be acknowledged, when)."""

    checksums: dict[int, int] = field(default_factory=dict)
    acknowledged: list[tuple[int, float]] = field(default_factory=lambda: [(0, 0.0)])
    ended: bool = False

    def known_at(self, moment: float) -> int:
        """How many messages the sender knew to be acknowledged at `moment`."""
        return max(count for count, when in self.acknowledged if when <= moment)


class Ledger:
    """Processes that write books, in a folder. A context manager: it leaves none of them."""

    def __init__(
        self,
        folder: Path,
        address: str,
        window: int = 8,
        probe_after: float = 0.2,
        size: int = 100_000,
        receiver_within: tuple[str, ...] = (),
        senders_within: tuple[str, ...] = (),
        keys: tuple[Path, ...] = (),
    ) -> None:
        """`..._within`: commands that run the rest of their arguments, say in a network namespace. `keys`: a folder."""
        self.folder, self.address = folder, address
        arguments = [sys.executable, str(PROGRAM), str(window), str(probe_after), str(size), *map(str, keys)]
        self._receivers = _nursery(*receiver_within, *arguments)
        self._senders = _nursery(*senders_within, *arguments)
        self.pids: dict[str, int] = {}
        self.incarnations: dict[str, int] = defaultdict(int)

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, *error: object) -> None:
        self._receivers.communicate()
        self._senders.communicate()

    def start(self, name: str, messages: int = 0) -> None:
        """Start `learner/0`, which receives, or a sender of another name, in its next incarnation."""
        self.incarnations[name] += 1
        incarnation = self.incarnations[name]
        book = self._book(name, incarnation)
        words = ["receiver"] if name == "learner/0" else ["sender"]
        words += [self.address, *([] if name == "learner/0" else [name]), str(incarnation), str(book)]
        words += [str(messages)] if messages else []
        nursery = self._receivers if name == "learner/0" else self._senders
        assert nursery.stdin and nursery.stdout
        nursery.stdin.write(" ".join(words) + "\n")
        nursery.stdin.flush()
        self.pids[name] = int(nursery.stdout.readline())

    def kill(self, name: str) -> None:
        """SIGKILL, and wait until the process is gone."""
        pid = self.pids.pop(name)
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 120
        while _exists(pid):
            assert time.monotonic() < deadline, f"{name} does not die"
            time.sleep(0.001)

    def handed(self) -> int:
        """About how much all receivers have been handed: the size of their books."""
        return sum(book.stat().st_size for book in self.folder.glob("learner-0.*"))

    def acknowledged(self, name: str) -> int:
        """How often the newest process of that name has seen that more of its messages were acknowledged."""
        return sum(row[0] == "A" for row in _rows(self._book(name, self.incarnations[name])))

    def unacknowledged(self, name: str) -> int:
        """Messages that the newest process of that name has begun to send and does not know to be acknowledged."""
        rows = list(_rows(self._book(name, self.incarnations[name])))
        return sum(row[0] == "S" for row in rows) - max((int(row[1]) for row in rows if row[0] == "A"), default=0)

    def ended(self, name: str) -> bool:
        """Has the newest process of that name sent everything and seen it acknowledged?"""
        rows = list(_rows(self._book(name, self.incarnations[name])))
        return bool(rows) and rows[-1][0] == "E"

    def check(self) -> dict[str, int]:
        """Hold the books to the rules. What was counted, for the curious."""
        sent, lives = self._sent(), self._lives()
        missing = sum(_check_session(session, book, lives) for session, book in sent.items())
        deaths = len(lives) - ("learner/0" in self.pids)
        assert missing <= deaths, f"{missing} acknowledged messages are missing, {deaths} receivers died (rule 3)"
        strangers = {session for life in lives for session in life.handed} - sent.keys()
        assert not strangers, f"handed over from nobody: {strangers}"
        return {
            "acknowledged": sum(book.acknowledged[-1][0] for book in sent.values()),
            "handed": sum(len(rows) for life in lives for rows in life.handed.values()),
            "sessions": len(sent),
            "lives": len(lives),
        }

    def _book(self, name: str, incarnation: int) -> Path:
        return self.folder / f"{name.replace('/', '-')}.{incarnation}"

    def _lives(self) -> list[Life]:
        lives = []
        for incarnation in range(1, self.incarnations["learner/0"] + 1):
            rows = list(_rows(self._book("learner/0", incarnation)))
            if rows:
                life = Life(incarnation, float(rows[0][2]))
                for _, sender, epoch, seq, checksum in rows[1:]:
                    life.handed[sender, int(epoch)].append((int(seq), int(checksum)))
                lives.append(life)
        return lives

    def _sent(self) -> dict[Session, Sent]:
        sent: dict[Session, Sent] = {}
        for name in self.incarnations.keys() - {"learner/0"}:
            for incarnation in range(1, self.incarnations[name] + 1):
                book = sent[name, incarnation] = Sent()
                for what, *words in _rows(self._book(name, incarnation)):
                    if what == "S":
                        book.checksums[int(words[0])] = int(words[1])
                    elif what == "A":
                        book.acknowledged.append((int(words[0]), float(words[1])))
        return sent


def _check_session(session: Session, book: Sent, lives: list[Life]) -> int:
    """Hold what the receiver's lives were handed of one session to rules 1 and 2; how many messages are missing."""
    expected = missing = 0
    for life in lives:
        rows = life.handed.get(session, [])
        for i, (seq, checksum) in enumerate(rows):
            assert seq == rows[0][0] + i, f"{session} life {life.incarnation}: {seq} after {rows[i - 1][0]} (rule 1)"
            assert checksum == book.checksums.get(seq), f"{session} {seq} is not what was sent (rule 1)"
        if rows:
            known = book.known_at(life.began)
            assert rows[0][0] >= known, f"{session}: {rows[0][0]} again, {known} were acknowledged (rule 2)"
            missing += max(0, rows[0][0] - expected)
            expected = rows[-1][0] + 1
    return missing + max(0, book.acknowledged[-1][0] - expected)


def _nursery(*command: str) -> "subprocess.Popen[str]":
    """Where processes that write books are born, and end with it."""
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _rows(path: Path) -> Iterator[list[str]]:
    """The lines of a book; none where a process died before it had one. A last line without its end is being written
    or was when the process died."""
    if path.exists():
        *lines, _ = path.read_text().split("\n")
        for line in lines:
            yield line.split()


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
