"""Retiring: a process that the run no longer needs hands over its work before it ends."""

import threading
from pathlib import Path

import numpy as np

from surreal.protocol.stream.sender import StreamSender
from tests.protocol.joined import Joined
from tests.protocol.worker.test_process import wiring


def test_a_process_retires_when_what_it_works_on_is_sent(folder: Path) -> None:
    with Joined(wiring(folder)), Joined(wiring(folder, "actor")) as actor:
        actor.session.sent()
        actor.session.retire()
        assert not actor.should_stop
        actor.session.sent()
        assert actor.stopping.wait(120) and actor.session.preempted
        assert actor.session.stop_reason == "enough processes without it"


def test_nothing_that_was_sent_is_lost_however_busy_the_receiver_is(folder: Path) -> None:
    with Joined(wiring(folder)) as learner:
        experience = learner.receiver("experience")
        actor = Joined(wiring(folder, "actor"))
        sender = actor.sender("experience")
        assert isinstance(sender, StreamSender)
        for number in range(4):
            sender.send({"x": np.full(2, number)})
        actor.session.retire()
        actor.session.sent()
        assert actor.stopping.wait(120)
        leaving = threading.Thread(target=actor.session.close)
        leaving.start()
        # longer than the half second that a process has which was simply stopped
        assert not learner.stopping.wait(1.5)
        found = [experience.recv(120) for _ in range(4)]
        leaving.join(120)
        assert [message.arrays["x"][0] for message in found if message] == [0, 1, 2, 3]
        assert sender.stats.depth == 0
