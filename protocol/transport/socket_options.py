"""The options of a packet socket: queues, reconnection, and how soon a dead peer is noticed."""

from typing import Any

import zmq

from surreal.protocol.transport.addresses import has_name, is_ipv6

HEARTBEAT_TIMEOUT_S = 5.0
"""Seconds without a sign of life from libzmq at the other end after which a port with heartbeats disconnects."""


def set_options(socket: "zmq.Socket[Any]", address: str, queue: int, *, immediate: bool, binds: bool) -> None:
    """Set the options of every socket.

    TCP_MAXRT finds a dead peer in 5 s while packets are under way to it. Keepalives, which the kernels exchange, find
    it in 15 s otherwise. Without them a cut connection stays for ever at the end that has nothing to send. A stream
    sends again what was lost then.
    """
    options = {
        zmq.LINGER: 0,
        zmq.SNDHWM: queue,
        zmq.RCVHWM: queue,
        zmq.RECONNECT_IVL: 100,
        zmq.RECONNECT_IVL_MAX: 2000,
        zmq.CONNECT_TIMEOUT: 2000,
        zmq.HANDSHAKE_IVL: 5000,
        zmq.TCP_MAXRT: 5000,
        zmq.TCP_KEEPALIVE: 1,
        zmq.TCP_KEEPALIVE_IDLE: 10,
        zmq.TCP_KEEPALIVE_INTVL: 5,
        zmq.IMMEDIATE: immediate,
        zmq.IPV6: has_name(address) or is_ipv6(address),  # a name may stand for either; IPv4 goes on working
    }
    if binds:
        options |= {zmq.ROUTER_MANDATORY: 1, zmq.BACKLOG: 1024}
    for option, value in options.items():
        socket.setsockopt(option, int(value))


def set_heartbeats(socket: "zmq.Socket[Any]", binds: bool) -> None:
    """Turn ZMTP heartbeats on. They abort a dialling process whose receive queue is full (libzmq #3937): that queue
    gets no limit, and heartbeats are not for ports on which much arrives."""
    socket.setsockopt(zmq.HEARTBEAT_IVL, 1000)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, int(HEARTBEAT_TIMEOUT_S * 1000))
    if not binds:
        socket.setsockopt(zmq.RCVHWM, 0)
