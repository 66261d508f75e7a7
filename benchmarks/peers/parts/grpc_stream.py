"""gRPC streaming: one client sends messages of four float32 arrays to one server, for some seconds.

Run by an interpreter that has grpcio, protobuf and numpy; prints messages per second. The message is what one would
write in a .proto file, made here without the compiler: two ints, and for each array its name, shape and bytes.
"""

import itertools
import multiprocessing
import sys
import time
from collections.abc import Iterator
from concurrent import futures

import grpc
import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
WARM = 0.2


def message_class() -> type:
    """`message Fragment {repeated Array arrays = 1; int64 i = 2; int64 k = 3;}` and its Array."""
    file = descriptor_pb2.FileDescriptorProto(name="fragment.proto", package="bench", syntax="proto3")
    kinds = descriptor_pb2.FieldDescriptorProto
    array = file.message_type.add(name="Array")
    array.field.add(name="name", number=1, type=kinds.TYPE_STRING, label=kinds.LABEL_OPTIONAL)
    array.field.add(name="shape", number=2, type=kinds.TYPE_INT64, label=kinds.LABEL_REPEATED)
    array.field.add(name="data", number=3, type=kinds.TYPE_BYTES, label=kinds.LABEL_OPTIONAL)
    fragment = file.message_type.add(name="Fragment")
    arrays = fragment.field.add(name="arrays", number=1, type=kinds.TYPE_MESSAGE, label=kinds.LABEL_REPEATED)
    arrays.type_name = ".bench.Array"
    for number, name in enumerate("ik", 2):
        fragment.field.add(name=name, number=number, type=kinds.TYPE_INT64, label=kinds.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("bench.Fragment"))


Fragment = message_class()


def serve(seconds: float, port: "multiprocessing.Queue[int]", rate: "multiprocessing.Queue[float]") -> None:
    """Count what arrives in the part of `seconds` after WARM."""

    def take(requests: Iterator[Fragment], context: grpc.ServicerContext) -> bytes:
        began, count = 0.0, 0
        for request in requests:
            {each.name: np.frombuffer(each.data, np.float32).reshape(tuple(each.shape)) for each in request.arrays}
            now = time.monotonic()
            began = began or now
            count += now >= began + WARM * seconds
            if now >= began + seconds:
                break
        rate.put(count / (seconds * (1 - WARM)))
        return b""

    server = grpc.server(futures.ThreadPoolExecutor(2), options=OPTIONS)
    handler = grpc.stream_unary_rpc_method_handler(take, Fragment.FromString)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench", {"put": handler}),))
    port.put(server.add_insecure_port("127.0.0.1:0"))
    server.start()
    server.wait_for_termination()


def send(port: int, size: int) -> None:
    """Send until the server has had enough."""
    arrays = {f"array{i}": np.ones(size // 16, np.float32) for i in range(4)}

    def requests() -> Iterator[Fragment]:
        for i in itertools.count():
            message = Fragment(i=i, k=7)
            for name, array in arrays.items():
                message.arrays.add(name=name, shape=array.shape, data=array.tobytes())
            yield message

    with grpc.insecure_channel(f"127.0.0.1:{port}", options=OPTIONS) as channel:
        channel.stream_unary("/bench/put", Fragment.SerializeToString)(requests())


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
