"""Go-back-N over links that lose, cut and restart, simulated step by step."""

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from surreal.protocol.stream.window import Window

STEPS = st.lists(st.sampled_from(["send", "transmit", "deliver", "answer", "probe", "cut", "restart"]), max_size=200)


class Simulation:
    """A sender's window, an in-order link that may be cut, and the receiver's rule."""

    def __init__(self, size: int) -> None:
        self.window: Window[int] = Window(size)
        self.out: deque[tuple[bool, int, int, int]] = deque()  # is data, round, seq, base
        self.back: deque[tuple[bool, int, int]] = deque()  # lost, round, expected
        self.expected: int | None = None
        self.taken: list[int] = []
        """What the receiver that lives now, and those before it, were handed and had acknowledged."""
        self.fresh: list[int] = []
        """What it was handed and the sender does not know yet."""

    def step(self, action: str) -> None:
        getattr(self, action)()
        assert 0 <= self.window.base <= self.window.cursor <= self.window.next <= self.window.base + self.window.size

    def send(self) -> None:
        if not self.window.full:
            self.window.append(self.window.next, 1)

    def transmit(self) -> None:
        item = next(self.window.due(), None)
        if item is not None:
            assert item == self.window.cursor
            self.out.append((True, self.window.round, item, self.window.base))
            self.window.transmitted()

    def probe(self) -> None:
        self.out.append((False, self.window.round, self.window.cursor, self.window.base))

    def deliver(self) -> None:
        if not self.out:
            return
        data, round, seq, base = self.out.popleft()
        self.expected = base if self.expected is None else max(self.expected, base)
        if data and seq == self.expected:
            self.fresh.append(seq)
            self.expected += 1
        self.back.append((seq > self.expected, round, self.expected))

    def answer(self) -> None:
        if not self.back:
            return
        lost, round, expected = self.back.popleft()
        assert self.window.lost(expected, round) if lost else self.window.acknowledge(expected)
        self.taken += [seq for seq in self.fresh if seq < self.window.base]
        self.fresh = [seq for seq in self.fresh if seq >= self.window.base]

    def cut(self) -> None:
        self.out.clear()
        self.back.clear()

    def restart(self) -> None:
        """The receiver dies with what the sender does not know that it got."""
        self.cut()
        self.expected = None
        self.fresh.clear()


@given(size=st.integers(1, 5), steps=STEPS)
def test_everything_acknowledged_was_taken_exactly_once_in_order(size: int, steps: list[str]) -> None:
    simulation = Simulation(size)
    for action in steps:
        simulation.step(action)
    for _ in range(4 * size + 4):  # then the link is good, and a probe finds what is missing
        for action in ["transmit"] * size + ["probe"] + ["deliver"] * (2 * size + 1) + ["answer"] * (2 * size + 1):
            simulation.step(action)
        while simulation.out or simulation.back:
            simulation.step("deliver")
            simulation.step("answer")
    assert simulation.window.unacked == 0
    assert simulation.taken == list(range(simulation.window.next))


def test_reports_of_an_older_round_do_not_send_again() -> None:
    window: Window[str] = Window(4)
    for item in "abc":
        window.append(item, 1)
        window.transmitted()
    assert window.lost(1, 0)
    assert (window.cursor, window.round) == (1, 1)
    assert window.transmitted()
    assert window.lost(1, 0)
    assert window.cursor == 2


def test_an_acknowledgement_of_what_was_never_sent_is_not_believed() -> None:
    window: Window[str] = Window(4)
    window.append("a", 1)
    assert not window.acknowledge(1)
    assert not window.lost(2, 0)
    window.transmitted()
    assert window.acknowledge(1)
