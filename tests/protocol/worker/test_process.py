"""Process: what a role's function may do with its place in the run."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from surreal.protocol.errors import Fatal, Stopping
from surreal.protocol.graph import Broadcast, Channel, Stream
from surreal.protocol.profiling.request import ProfileRequest
from surreal.protocol.telemetry.gauges import gauge_name
from surreal.protocol.wiring import ChannelWiring, Wiring
from tests.protocol.joined import Joined

Until = Callable[..., None]


def wiring(folder: Path, role: str = "learner", index: int = 0, incarnation: int = 1) -> Wiring:
    """The wiring of one process of a small run."""

    def wired(channel: Channel) -> ChannelWiring:
        return ChannelWiring(**vars(channel), addresses=(f"ipc://{folder}/{channel.name}",))

    channels = (
        Stream("experience", "actor", "learner", window=4),
        Stream("metrics", "actor", "learner", window=4, lossy=True),
        Broadcast("weights", "learner", "actor"),
    )
    return Wiring(
        *("test", role, index, incarnation, "m:f", {"learner": 1, "actor": 2}),
        channels={each.name: wired(each) for each in channels},
        control=f"ipc://{folder}/control",
        serves_control=role == "learner",
        run_folder=str(folder),
        seed=7,
        config={"gamma": 0.9},
        env={"id": "X-v0"},
    )


def test_a_process_knows_its_settings_and_draws_numbers_of_its_own(folder: Path) -> None:
    def numbers(**place: int | str) -> list[int]:
        one = replace(wiring(folder, "actor"), **place)  # type: ignore[arg-type]
        with Joined(one) as process:
            assert (process.config, process.env, process.seed) == ({"gamma": 0.9}, {"id": "X-v0"}, one.seed)
            drawn: list[int] = process.rng.integers(0, 2**62, 4).tolist()
            return drawn

    first = numbers()
    assert numbers() == first
    for other in ({"index": 1}, {"incarnation": 2}, {"seed": 8}, {"role": "learner", "serves_control": 1}):
        assert numbers(**other) != first


def test_a_role_waits_for_all_its_channels_and_is_told_to_stop(folder: Path) -> None:
    with Joined(wiring(folder)) as learner, Joined(wiring(folder, "actor")) as actor:
        experience, metrics = learner.receiver("experience"), learner.receiver("metrics")
        assert learner.wait([experience, metrics], timeout=0) == []
        actor.sender("experience").send({"x": np.zeros(2)})
        assert learner.wait([experience, metrics], timeout=120) == [experience]
        assert not learner.should_stop
        learner.session.stop("SIGTERM")
        with pytest.raises(Stopping, match="SIGTERM"):
            learner.wait([metrics])
        assert learner.should_stop and learner.session.stop_reason == "SIGTERM"


def test_what_a_process_reports_reaches_the_one_that_ends_the_run(folder: Path, until: Until) -> None:
    with Joined(wiring(folder)) as learner, Joined(wiring(folder, "actor")) as actor:
        learner.report({"loss": 0.5}, steps=3)
        assert learner.session.gauges.values()[gauge_name("learner", "loss")] == {"learner/0": 0.5}
        assert learner.session.gauges.values()[gauge_name("learner", "steps")] == {"learner/0": 3.0}
        actor.report({"episode_return": 2.0}, steps=9)
        message = learner.receiver("metrics").recv(timeout=120)
        assert message and (message.sender, message.meta) == ("actor/0", {"episode_return": 2.0, "steps": 9})


def test_a_process_without_a_stream_for_reports_is_told(folder: Path) -> None:
    wired = wiring(folder, "actor")
    wired = replace(wired, channels={"experience": wired.channels["experience"]})
    with Joined(wired) as actor, pytest.raises(Fatal, match="actor: has no stream 'metrics' to send on.*experience"):
        actor.report({"x": 1.0})


def test_a_profile_that_an_earlier_attempt_kept_goes_on_from_the_first_answer(folder: Path) -> None:
    ProfileRequest("p", 60.0, intercept=False).write(folder)
    (folder / "profile" / "p").mkdir()
    with Joined(wiring(folder, incarnation=2)) as process:
        assert process.session.profiling.say({})["profile"]["name"] == "p"
