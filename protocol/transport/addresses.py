"""Addresses: the allowed places of a port, and the place where its binding end listens."""

import ipaddress

import zmq

from surreal.protocol.errors import Fatal

LAST_PORT = 65_535
"""Last TCP port. libzmq takes a higher one modulo 65,536 and says nothing."""


def check_address(address: str, keyed: bool) -> None:
    """Raise Fatal unless `address` is ipc:// with a path that the system takes, or tcp://: without keys on loopback."""
    scheme, _, place = address.partition("://")
    if scheme == "ipc":
        if len(place.encode()) > zmq.IPC_PATH_MAX_LEN:
            raise Fatal(
                f"socket path {place}: has {len(place.encode())} bytes, this system allows {zmq.IPC_PATH_MAX_LEN}. "
                "Use a shorter folder (SURREAL_HOME)."
            )
        return
    host, port = _host_and_port(place)
    loopback = host == "localhost" or (_is_ip(host) and ipaddress.ip_address(host).is_loopback)
    if scheme != "tcp":
        raise Fatal(f"{address}: is neither ipc:// nor tcp://. Write one of them.")
    if port.isdecimal() and int(port) > LAST_PORT:
        raise Fatal(f"{address}: ports end at {LAST_PORT}. Give one of them.")
    if not loopback and not keyed:
        raise Fatal(f"{address}: can be reached from other machines, and this process has no keys. Give it a key file.")


def has_name(address: str) -> bool:
    """Return True if this is tcp:// with the name of a machine, which the DNS knows, instead of an IP address."""
    scheme, _, place = address.partition("://")
    host, _ = _host_and_port(place)
    return scheme == "tcp" and host not in ("localhost", "*") and not _is_ip(host)


def is_ipv6(address: str) -> bool:
    """Return True if this is tcp:// with an IPv6 address: `tcp://[::1]:5000`."""
    scheme, _, place = address.partition("://")
    return scheme == "tcp" and place.startswith("[")


def listening(address: str) -> str:
    """Return the address at which the binding end of `address` listens.

    libzmq binds no names, so a machine with a name listens on all its interfaces. Other processes find it by the name,
    which may enter the DNS later or change.
    """
    return f"tcp://*:{_host_and_port(address)[1]}" if has_name(address) else address


def _host_and_port(place: str) -> tuple[str, str]:
    host, _, port = place.rpartition(":")
    return host.strip("[]"), port


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
