"""Recording of what actors see while a run trains: a journal for each start of each process, in one folder.

The environment is wrapped, so that episodes are of its own observations and actions, whatever the algorithm. An episode
is in the file before the next one begins: no death of the process loses it, a crash of the machine the last second.
"""

import json
import os
from collections.abc import Callable
from logging import getLogger
from pathlib import Path
from typing import Any

import gymnasium

from surreal.algorithms.datasets.episode import DamagedError
from surreal.algorithms.datasets.writing.building import Building
from surreal.algorithms.datasets.writing.journal import Journal
from surreal.algorithms.datasets.writing.minari import described, record_of
from surreal.algorithms.recording.policy_record import versions
from surreal.protocol.wiring import Wiring

log = getLogger(__name__)
Env = gymnasium.Env[Any, Any]
FOLDER = "datasets"
"""Folder below the run folder, where `spec.record` names none."""
MOST_STEPS = 10_000
"""Steps after which an episode is cut in the recording alone, so that one without an end takes no more memory."""


class ActorRecording:
    """Files of one start of one acting process; all its copies of the environment write to them."""

    def __init__(self, wiring: Wiring) -> None:
        """Record as `wiring.record` says."""
        settings = wiring.record
        self._folder = Path(settings["folder"] or Path(wiring.run_folder, FOLDER))
        self._own, self._path = f"{wiring.experiment}-{wiring.role}-{wiring.index}-", self._folder
        self._every, self._left = int(settings["every"]), int(settings["bytes"])
        self._about = {
            "run": wiring.experiment,
            "process": wiring.name,
            "start": wiring.incarnation,
            "seed": wiring.seed,
            "every": self._every,
            "env": {key: wiring.env[key] for key in ("id", "options", "wrappers") if wiring.env.get(key)},
        }
        self._journal: Journal | None = None
        self._open = self._ended = self.episodes = 0
        """Environments that are open, episodes that ended, and those of them that were written."""
        self._size = 0

    def around(self, env: Env) -> Env:
        """Return `env`, recorded. The files are closed once all that were returned are."""
        self._open += 1
        return Recorded(env, self)

    def closed(self) -> None:
        """Take note that an environment was closed."""
        self._open -= 1
        if not self._open and self._journal is not None:
            self._journal.close()
            self._left, self._journal = 0, None

    def add(self, built: Building, terminated: bool, env: Env) -> None:
        """Write an episode where it is the turn of one and there is room; a disk that fails ends the recording."""
        self._ended += 1
        if self._left <= 0 or (self._ended - 1) % self._every:
            return
        try:
            record = record_of(built.episode(f"episode {self._ended}", terminated))
            journal = self._journal or self._begun(env)
            journal.append(*record)
            self.episodes += 1
            self._left -= journal.size - self._size
            self._size = journal.size
            if self._left <= 0:
                text = "%s: recording ends with %d episodes: spec.record.gigabytes is reached"
                log.warning(text, self._path, self.episodes)
        except DamagedError as error:
            log.warning("not recorded: %s", error)
        except OSError as error:
            self._left = 0
            log.warning("%s: recording ends with %d episodes: %s", self._path, self.episodes, error)

    def _begun(self, env: Env) -> Journal:
        """Open a journal that is not there yet; beside it is what it is of."""
        self._folder.mkdir(parents=True, exist_ok=True)
        earlier = list(self._folder.glob(f"{self._own}*.journal"))
        self._left -= sum(path.stat().st_size for path in earlier)
        self._path = self._folder / f"{self._own}{len(earlier) + 1}.journal"
        said = {**self._about, "versions": versions(type(env.unwrapped).__module__)}
        about = described(env.observation_space, env.action_space, env.spec, said)
        text, part = self._path.with_suffix(".json"), self._path.with_suffix(".part")
        part.write_text(json.dumps(about))
        os.replace(part, text)
        self._journal = Journal(self._path)
        self._size = self._journal.size
        return self._journal


class Recorded(gymnasium.Wrapper[Any, Any, Any, Any]):
    """An environment whose episodes are recorded; what it returns is untouched."""

    def __init__(self, env: Env, recording: ActorRecording) -> None:
        super().__init__(env)
        self._recording: ActorRecording | None = recording
        self._built: Building | None = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Reset; an episode under way was cut."""
        self._end(terminated=False)
        observation, info = self.env.reset(seed=seed, options=options)
        self._built = Building(observation, seed)
        return observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step, and note it."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        if self._built is not None:
            self._built.add(action, observation, reward)
        if terminated or truncated:
            self._end(bool(terminated))
        elif self._built is not None and len(self._built) >= MOST_STEPS:
            self._end(terminated=False)
            self._built = Building(observation)
        return observation, reward, terminated, truncated, info

    def close(self) -> None:
        """Close; an episode under way was cut."""
        self._end(terminated=False)
        recording, self._recording = self._recording, None
        if recording is not None:
            recording.closed()
        self.env.close()

    def _end(self, terminated: bool) -> None:
        built, self._built = self._built, None
        if built is not None and len(built) and self._recording is not None:
            self._recording.add(built, terminated, self.env)


def recording_of(wiring: Wiring) -> Callable[[Env], Env] | None:
    """Return what a process puts around its environments; None where it records nothing."""
    return ActorRecording(wiring).around if wiring.record else None
