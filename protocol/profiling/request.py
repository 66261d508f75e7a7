"""Request for a profile: a small file in the run folder, and the same as plain data over the control port."""

import json
import re
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FOLDER = "profile"
"""Folder of profiles in the run folder."""
REQUEST = "request.json"
DONE = "done.json"
"""File that says that a profile is over, and what was dropped."""
BUSY = 3
"""Exit code where another profile is being taken."""
MOST_SECONDS = 600.0
"""Longest profile: 600 s of four processes are some tens of megabytes."""
MOST_PER_ROLE = 16
"""Processes of one role that a profile is taken of; those with the lowest indices."""
_NAME = r"[a-z0-9][a-z0-9-]{0,39}"


@dataclass(frozen=True)
class ProfileRequest:
    """One profile that a person asks for."""

    name: str
    """Folder below `profile/`."""
    seconds: float
    intercept: bool = True
    """Also watch calls between Python and C, a small share of the time."""

    def wants(self, process: str) -> bool:
        """Return True if a profile is taken of this process, `actor/3`."""
        _, _, index = process.partition("/")
        return index.isdecimal() and int(index) < MOST_PER_ROLE

    def to_data(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)

    @classmethod
    def parse(cls, data: Any) -> "ProfileRequest | None":
        """Return the request that `to_data` made; None for anything else."""
        if not isinstance(data, Mapping) or not isinstance(data.get("name"), str):
            return None
        seconds, name = data.get("seconds"), str(data["name"])
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            return None
        if not 0 < seconds <= MOST_SECONDS or not re.fullmatch(_NAME, name):
            return None
        return cls(name, float(seconds), data.get("intercept") is True)

    @classmethod
    def under_way(cls, run_folder: Path) -> "tuple[ProfileRequest, float] | None":
        """Return the request that is not done with the seconds that it has left; None where there is none.

        `asked` is a time of day: one that was set back makes it no longer than it was asked to be.
        """
        try:
            data = json.loads((run_folder / FOLDER / REQUEST).read_text())
            request, asked = cls.parse(data), float(data["asked"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        if request is None or (run_folder / FOLDER / request.name / DONE).exists():
            return None
        left = min(request.seconds, asked + request.seconds - time.time())
        return (request, left) if left > 0 else None

    def write(self, run_folder: Path) -> None:
        """Ask for it: the process that serves control finds the file within two seconds."""
        folder = run_folder / FOLDER
        folder.mkdir(mode=0o700, exist_ok=True)
        temporary = folder / f".{REQUEST}"
        temporary.write_text(json.dumps({**self.to_data(), "asked": time.time()}))
        temporary.replace(folder / REQUEST)


def main() -> None:
    """Write a request beside the worker: `python -m surreal.protocol.profiling.request JSON FOLDER...`.

    The run folder is the first of the folders with metrics in it; where there is none the exit code is 1, and BUSY
    while another profile is taken: one at a time.
    """
    said, *folders = sys.argv[1:]
    request = ProfileRequest.parse(json.loads(said))
    found = [folder for folder in map(Path, folders) if (folder / "metrics").is_dir()]
    if request is None or not found:
        sys.exit(1)
    if ProfileRequest.under_way(found[0]):
        sys.exit(BUSY)
    request.write(found[0])


if __name__ == "__main__":
    main()
