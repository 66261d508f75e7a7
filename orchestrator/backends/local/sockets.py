"""The folder of a run's ipc sockets: private, short, and on no file system that ends with a login session.

XDG_RUNTIME_DIR is removed when its user logs out and TMPDIR may belong to a session too, while a run goes on.
"""

import os
import stat
import tempfile
from pathlib import Path

from surreal.orchestrator.plan.model import Plan
from surreal.protocol.errors import InvalidInput
from surreal.protocol.graph import RELAY

CONTROL = ".control"
"""Name of the control port's socket, which no channel can have."""
LONGEST_SOCKET = 100
"""Bytes of a path that every system's sockets allow (macOS: 103)."""
PLACES = ("/tmp", "/var/tmp")
"""Folders that outlive a session on every system, by the file system hierarchy; the first that works."""


def make_socket_folder(plan: Plan) -> Path:
    """Return a new private folder (0700) whose path is short enough for the sockets of all channels.

    Raises InvalidInput where no place for it can be written.
    """
    longest = max(len(name) for name in (CONTROL, *(f"{channel.name}{RELAY}-12345" for channel in plan.channels)))
    places = [place for place in (*PLACES, tempfile.gettempdir()) if _fits(place, longest)]
    reasons = []
    for place in places:
        try:
            return Path(tempfile.mkdtemp(prefix="surreal-", dir=place))
        except OSError as error:
            reasons.append(f"{place}: {error.strerror}")
    raise InvalidInput(f"no folder for the sockets of {plan.name}: {'; '.join(reasons) or 'TMPDIR is too long'}")


def make_again_if_gone(folder: Path) -> bool:
    """Make the folder again where something removed it; True if so. Raises OSError where it is another user's."""
    try:
        found = os.lstat(folder)
    except FileNotFoundError:
        folder.mkdir(mode=0o700)
        return True
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PermissionError(0, "is no folder of ours any more", str(folder))
    return False


def _fits(place: str, longest: int) -> bool:
    return os.path.isdir(place) and len(place) + len("/surreal-12345678/") + longest <= LONGEST_SOCKET
