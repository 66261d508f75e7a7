"""A network of its own in which packets can be dropped: two namespaces joined by a cable, and nft rules at one end."""

import os
import shutil
import subprocess
from functools import cache

PORT = 5555
ADDRESS = f"tcp://10.77.0.1:{PORT}"
INBOUND, OUTBOUND = f"input tcp dport {PORT}", f"output tcp sport {PORT}"
"""To the process that listens at PORT, and from it."""
CHAINS = "".join(f"add chain inet f {name} {{ type filter hook {name} priority 0; }};" for name in ("input", "output"))


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
    """Two namespaces, for the one that listens and for those who dial, joined by a cable. A context manager."""

    def __init__(self, name: str) -> None:
        self._near, self._far = f"surreal-{name}-{os.getpid()}-a", f"surreal-{name}-{os.getpid()}-b"
        self.listening = ("ip", "netns", "exec", self._near)
        """Runs the rest of its arguments where ADDRESS is."""
        self.dialling = ("ip", "netns", "exec", self._far)
        """The same at the other end of the cable."""

    def __enter__(self) -> "Network":
        try:
            for name in (self._near, self._far):
                _run("ip", "netns", "add", name)
            _run("ip", "-n", self._near, "link", "add", "cable", "type", "veth", "peer", "cable", "netns", self._far)
            for name, address in ((self._near, "10.77.0.1/24"), (self._far, "10.77.0.2/24")):
                _run("ip", "-n", name, "addr", "add", address, "dev", "cable")
                _run("ip", "-n", name, "link", "set", "cable", "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        for name in (self._near, self._far):
            subprocess.run(["ip", "netns", "del", name], capture_output=True)

    def rule(self, *rules: str) -> None:
        """Replace all rules where the listener is: of `input tcp dport 5555 drop` and the like."""
        added = "".join(f"add rule inet f {rule};" for rule in rules)
        _run(*self.listening, "nft", f"flush ruleset; add table inet f; {CHAINS} {added}")

    def cut(self, *directions: str) -> None:
        """Drop everything, or what goes in these directions only."""
        self.rule(*(f"{direction} drop" for direction in directions or (INBOUND, OUTBOUND)))

    def lose(self, percent: int) -> None:
        """Drop each packet with this probability."""
        self.rule(*(f"{chain} numgen random mod 100 < {percent} drop" for chain in ("input", "output")))

    def reset(self) -> None:
        """Answer each packet with a TCP reset."""
        self.rule(f"{INBOUND} reject with tcp reset", f"{OUTBOUND} reject with tcp reset")

    def heal(self) -> None:
        """Let everything pass."""
        self.rule()


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)
