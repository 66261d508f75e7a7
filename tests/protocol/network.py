"""A network of its own in which packets can be dropped: a namespace with a loopback interface, and nft rules on it."""

import os
import shutil
import subprocess
from functools import cache

PORT = 5555
ADDRESS = f"tcp://127.0.0.1:{PORT}"
INBOUND, OUTBOUND = f"tcp dport {PORT}", f"tcp sport {PORT}"
"""To the process that binds PORT, and from it."""
CHAIN = "add table inet f; add chain inet f in { type filter hook input priority 0; };"


@cache
def why_not() -> str:
    """Why no namespace can be made here; empty if it can."""
    if os.name != "posix" or os.geteuid() != 0:
        return "network namespaces need root"
    if missing := [tool for tool in ("ip", "nft") if not shutil.which(tool)]:
        return f"{' and '.join(missing)} not found (Debian: iproute2, nftables)"
    try:
        with Network("probe") as network:
            network.cut()
    except subprocess.CalledProcessError as error:
        return f"this kernel has no namespaces with nft: {error.stderr or error}"
    return ""


class Network:
    """One namespace; a context manager."""

    def __init__(self, name: str) -> None:
        self._name = f"surreal-{name}-{os.getpid()}"
        self.within = ("ip", "netns", "exec", self._name)
        """Runs the rest of its arguments in this network."""

    def __enter__(self) -> "Network":
        _run("ip", "netns", "add", self._name)
        try:
            _run(*self.within, "ip", "link", "set", "lo", "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        _run("ip", "netns", "del", self._name)

    def rule(self, *rules: str) -> None:
        """Replace all rules: of `tcp dport 5555 drop` and the like."""
        _run(*self.within, "nft", f"flush ruleset; {CHAIN}" + "".join(f"add rule inet f in {rule};" for rule in rules))

    def cut(self, *directions: str) -> None:
        """Drop everything, or what goes in these directions only."""
        self.rule(*(f"{direction} drop" for direction in directions or (INBOUND, OUTBOUND)))

    def lose(self, percent: int) -> None:
        """Drop each packet with this probability."""
        self.rule(f"numgen random mod 100 < {percent} drop")

    def reset(self) -> None:
        """Answer each packet with a TCP reset."""
        self.rule(f"{INBOUND} reject with tcp reset", f"{OUTBOUND} reject with tcp reset")

    def heal(self) -> None:
        """Let everything pass."""
        self.rule()


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)
