"""Looks into the sockets of channels."""

from surreal.protocol.transport import packet_socket
from surreal.protocol.wire.packet import Packet


def waiting_packets(socket: packet_socket.PacketSocket) -> int:
    """Count the packets that a socket has received, messages of a batch one by one; leave them there in their order."""
    packets: list[tuple[bytes, Packet]] = []
    while received := socket.receive():
        packets.append(received)
    for route, packet in reversed(packets):
        socket.put_back(route, packet)
    return sum(len(packet.batch) or 1 for _, packet in packets)
