"""gRPC streaming: one client sends messages of four float32 arrays to one server, for some seconds.

Run by an interpreter that has grpcio and numpy; prints messages per second. Without generated code: the arrays' bytes
are joined into one message and taken apart again as views.
"""

import multiprocessing
import sys
import time
from collections.abc import Iterator
from concurrent import futures

import grpc
import numpy as np

OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
WARM = 0.2


def serve(seconds: float, port: "multiprocessing.Queue[int]", rate: "multiprocessing.Queue[float]") -> None:
    """Count what arrives in the part of `seconds` after WARM."""

    def take(requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        began, count = 0.0, 0
        for request in requests:
            np.frombuffer(request, np.float32).reshape(4, -1)
            now = time.monotonic()
            began = began or now
            count += now >= began + WARM * seconds
            if now >= began + seconds:
                break
        rate.put(count / (seconds * (1 - WARM)))
        return b""

    server = grpc.server(futures.ThreadPoolExecutor(2), options=OPTIONS)
    handler = grpc.stream_unary_rpc_method_handler(take)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench", {"put": handler}),))
    port.put(server.add_insecure_port("127.0.0.1:0"))
    server.start()
    server.wait_for_termination()


def send(port: int, size: int) -> None:
    """Send until the server has had enough."""
    arrays = [np.ones(size // 16, np.float32) for _ in range(4)]

    def requests() -> Iterator[bytes]:
        while True:
            yield b"".join(array.data for array in arrays)

    with grpc.insecure_channel(f"127.0.0.1:{port}", options=OPTIONS) as channel:
        channel.stream_unary("/bench/put")(requests())


if __name__ == "__main__":
    size, seconds = int(sys.argv[1]), float(sys.argv[2])
    context = multiprocessing.get_context("spawn")
    ports, rates = context.Queue(), context.Queue()
    children = [context.Process(target=serve, args=(seconds, ports, rates), daemon=True)]
    children[0].start()
    children.append(context.Process(target=send, args=(ports.get(), size), daemon=True))
    children[1].start()
    print(rates.get(), flush=True)
    for child in children:
        child.kill()
