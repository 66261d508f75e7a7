"""Service: every call gets its own answer or an error, requests are gathered, caps and deadlines hold."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress

import numpy as np
import pytest
import zmq

from surreal.protocol.errors import Refused, Stopping, SurrealError, Timeout
from surreal.protocol.service.client import ServiceClient
from surreal.protocol.service.requests import Request
from surreal.protocol.service.rows import CallError, Outcome
from surreal.protocol.service.server import ServiceServer
from surreal.protocol.transport.node import Node
from surreal.protocol.wire.codec import decode, encode_body, encode_prefix
from surreal.protocol.wire.packet import Kind

MakeNode = Callable[..., Node]
Until = Callable[..., None]
Handler = Callable[[dict[str, np.ndarray]], Mapping[str, np.ndarray]]


@pytest.fixture
def server(make_node: MakeNode, address: str) -> ServiceServer:
    return ServiceServer(make_node("server/0"), address, window=4)


@pytest.fixture
def client(make_node: MakeNode, address: str) -> ServiceClient:
    return ServiceClient(make_node("actor/0"), [address], window=4)


@contextmanager
def serving(server: ServiceServer, handler: Handler, max_size: int = 8) -> Iterator[None]:
    """Answer in a thread of its own."""

    def serve() -> None:
        with suppress(Stopping):
            server.serve(handler, max_size)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        server.node.stop("the test is over")
        thread.join()


def double(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {"y": arrays["x"] * 2}


def ask(number: float) -> dict[str, np.ndarray]:
    return {"x": np.array([number])}


def take(server: ServiceServer) -> Request:
    """The next request, which must come."""
    request = server.recv(timeout=120)
    assert request is not None
    return request


def test_every_call_gets_its_own_answer(server: ServiceServer, make_node: MakeNode, address: str) -> None:
    def call_many(number: int) -> None:
        client = ServiceClient(make_node(f"actor/{number}"), [address], window=4)
        pending = [client.submit(ask(1000 * number + i)) for i in range(100)]
        answers[number] = [float(each.result().arrays["y"][0]) for each in pending]
        client.close()

    answers: dict[int, list[float]] = {}
    threads = [threading.Thread(target=call_many, args=(number,)) for number in range(3)]
    with serving(server, double):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == {number: [2.0 * (1000 * number + i) for i in range(100)] for number in range(3)}
    assert server.stats.messages == 300 and server.stats.refused == server.stats.depth == 0


def test_a_request_carries_meta_and_an_answer_says_whose_it_is(server: ServiceServer, client: ServiceClient) -> None:
    pending = client.submit({"x": np.arange(100_000)}, {"why": "test"})
    request = take(server)
    assert (request.sender, request.meta) == ("actor/0", {"why": "test"})
    assert not pending.done()
    request.reply({"large": request.arrays["x"] + 1}, {"because": 1}, version=(2, 3))
    answer = pending.result()
    assert (answer.sender, answer.incarnation, answer.version, answer.meta) == ("server/0", 1, (2, 3), {"because": 1})
    assert (answer.arrays["large"] == np.arange(1, 100_001)).all() and pending.done()


def test_what_has_one_layout_is_stacked_and_answered_row_by_row(
    server: ServiceServer, make_node: MakeNode, address: str
) -> None:
    clients = [ServiceClient(make_node(f"actor/{i}"), [address], window=4) for i in range(4)]
    pending = [c.submit({"x": np.full((2, 3), i, np.float32), "n": np.array(i)}) for i, c in enumerate(clients)]
    batch = server.gather(4, max_wait=20)
    assert len(batch) == 4
    order = [int(request.sender[-1]) for request in batch]
    assert batch.arrays["x"].shape == (4, 2, 3) and batch.arrays["x"].dtype == np.float32
    assert batch.arrays["n"].tolist() == order == batch.arrays["x"][:, 1, 2].tolist()
    assert batch.arrays["x"].flags.writeable
    rows = batch.arrays["n"]
    batch.reply(
        {"odd": rows % 2 == 1, "three": np.stack([rows] * 3, axis=1).astype(np.uint8), "none": np.empty((4, 0))},
        {"all": True},
    )
    for i, each in enumerate(pending):
        answer = each.result()
        assert answer.meta == {"all": True} and answer.arrays["none"].shape == (0,)
        assert answer.arrays["odd"].shape == () and bool(answer.arrays["odd"]) == (i % 2 == 1)
        assert answer.arrays["three"].dtype == np.uint8 and answer.arrays["three"].tolist() == [i] * 3


def test_rows_too_large_for_a_header_are_answered_too(server: ServiceServer, client: ServiceClient) -> None:
    pending = [client.submit(ask(i)) for i in range(3)]
    batch = server.gather(3, max_wait=20)
    batch.reply({"y": np.arange(3 * 5000, dtype=np.float64).reshape(3, 5000)})
    assert [each.result().arrays["y"][0] for each in pending] == [0, 5000, 10000]


def test_requests_of_another_layout_come_in_a_batch_of_their_own(server: ServiceServer, client: ServiceClient) -> None:
    for array in (np.zeros(3), np.zeros(4), np.zeros(3), np.zeros(3, np.float32)):
        client.submit({"x": array})
    batches = [server.gather(1, max_wait=20)]
    batches += [server.gather(8, timeout=120) for _ in range(3)]
    assert [(b.arrays["x"].shape, b.arrays["x"].dtype.itemsize) for b in batches] == [
        ((1, 3), 8), ((1, 4), 8), ((1, 3), 8), ((1, 3), 4)
    ]  # fmt: skip


def test_a_batch_is_handed_over_when_it_is_full_or_has_waited(server: ServiceServer, client: ServiceClient) -> None:
    assert len(server.gather(4, max_wait=20, timeout=0)) == 0
    for i in range(3):
        client.submit(ask(i))
    assert len(server.gather(2, max_wait=60)) == 2
    assert len(server.gather(2, max_wait=0.01)) == 1


def test_answers_with_another_number_of_rows_are_refused(server: ServiceServer, client: ServiceClient) -> None:
    client.submit(ask(1))
    batch = server.gather(4, timeout=120)
    with pytest.raises(ValueError, match="the first extent must be 1"):
        batch.reply({"y": np.zeros((2, 3))})


def test_a_failing_handler_fails_its_callers_with_its_text(server: ServiceServer, client: ServiceClient) -> None:
    def handler(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        if arrays["x"][0, 0] < 0:
            raise ValueError("negative \ud800")
        return double(arrays)

    with serving(server, handler, max_size=1):
        with pytest.raises(CallError, match=r"server/0: ValueError: negative \?"):
            client.call(ask(-1))
        assert client.call(ask(1)).arrays["y"] == 2


def test_a_call_without_an_answer_ends_at_its_deadline_and_says_who_was_asked(
    server: ServiceServer, client: ServiceClient, address: str, until: Until
) -> None:
    def complaint() -> str:
        with pytest.raises(Timeout) as caught:
            client.call(ask(1), timeout=0.01)
        return str(caught.value)

    until(lambda: f"{address}: no answer within 0.01 s" in complaint(), "a call that was sent")
    until(lambda: client.stats.depth == 0, "nothing to wait for")


def test_a_call_that_nobody_can_hear_says_so(make_node: MakeNode, tcp_address: str) -> None:
    client = ServiceClient(make_node("actor/0"), [tcp_address], window=4)
    with pytest.raises(Timeout, match="no replica: none is connected"):
        client.call(ask(1), timeout=0.05)


def test_a_client_that_comes_first_is_served_when_the_server_is_there(make_node: MakeNode, tcp_address: str) -> None:
    client = ServiceClient(make_node("actor/0"), [tcp_address], window=4)
    pending = client.submit(ask(1), timeout=60)
    with serving(ServiceServer(make_node("server/0"), tcp_address, window=4), double):
        assert pending.result().arrays["y"] == 2


def test_what_nobody_waits_for_any_more_is_not_computed(
    server: ServiceServer, client: ServiceClient, until: Until
) -> None:
    client.submit(ask(0))
    take(server).reply({})  # connected
    doomed = client.submit(ask(1), timeout=1)
    until(lambda: server.stats.depth, "a request that is read while nobody gathers")
    expired = time.monotonic() + 1
    with pytest.raises(Timeout):
        doomed.result()
    until(lambda: time.monotonic() > expired, "the end of its time")
    client.submit(ask(2))
    assert take(server).arrays["x"] == 2
    assert server.stats.dropped == 1


def test_a_late_answer_is_dropped_and_counted(server: ServiceServer, client: ServiceClient) -> None:
    # the I/O thread would read the request, whose time runs from then on, before this thread takes it
    server.node.loop.cancel(server._timer)
    late = client.submit(ask(1), timeout=1)
    request = take(server)
    with pytest.raises(Timeout):
        late.result()
    request.reply({"y": np.array(1)})
    with serving(server, double):  # a repetition may still come, and is computed
        assert client.call(ask(2)).arrays["y"] == 4
    assert client.stats.duplicates >= 1 and client.stats.dropped == 1


def test_what_is_asked_again_meanwhile_is_dropped_and_counted(
    server: ServiceServer, client: ServiceClient, until: Until
) -> None:
    pending = client.submit(ask(1), timeout=400)
    request = take(server)
    with client._lock:  # the I/O thread may still be at work on the first sending
        pending.due = client._poll_at = 0.0  # what a quarter of the time does
    until(lambda: server.stats.duplicates == 1, "a repetition")
    until(lambda: client.stats.resent == 1, "the count of it, which comes after the sending")
    assert server.recv(timeout=0) is None
    request.reply({})
    pending.result()


def test_a_client_waits_at_its_window(server: ServiceServer, client: ServiceClient) -> None:
    for _ in range(4):
        client.submit(ask(0))
    with pytest.raises(Timeout, match="no room"):
        client.submit(ask(0), timeout=0.05)
    assert client.stats.blocked_seconds > 0 and client.stats.depth == 4
    take(server).reply({})
    client.submit(ask(0), timeout=20)


def test_a_wait_at_the_window_is_counted_while_it_lasts(
    server: ServiceServer, client: ServiceClient, until: Until
) -> None:
    for _ in range(4):
        client.submit(ask(0))
    waiting = threading.Thread(target=lambda: client.submit(ask(0), timeout=120))
    waiting.start()
    until(lambda: client.stats.blocked_seconds > 0, "the wait to be counted")
    assert waiting.is_alive()
    take(server).reply({})
    waiting.join(120)
    assert not waiting.is_alive()


def test_a_server_refuses_more_than_the_window_and_the_client_asks_again(
    server: ServiceServer, make_node: MakeNode, address: str, until: Until
) -> None:
    greedy = ServiceClient(make_node("actor/0"), [address], window=100)
    pending = [greedy.submit(ask(i)) for i in range(12)]
    until(lambda: server.stats.refused > 0 and greedy.stats.refused > 0, "a refusal")
    with serving(server, double):
        assert [float(each.result().arrays["y"][0]) for each in pending] == [2.0 * i for i in range(12)]


def test_stopping_ends_the_waits_of_both_ends(make_node: MakeNode, address: str) -> None:
    for wait in (
        lambda node: ServiceServer(node, address, 4).gather(4),
        lambda node: ServiceClient(node, [address], 4).call(ask(1)),
    ):
        node = make_node("actor/0")
        threading.Timer(0.05, node.stop, ["enough"]).start()
        with pytest.raises(Stopping, match="enough"):
            wait(node)


def test_closing_ends_what_is_under_way(server: ServiceServer, client: ServiceClient) -> None:
    pending = client.submit(ask(1))
    client.close()
    with pytest.raises(SurrealError, match="closed"):
        pending.result()


def test_of_two_clients_with_one_name_the_later_is_refused_and_told_why(
    server: ServiceServer, client: ServiceClient, make_node: MakeNode, address: str
) -> None:
    with serving(server, double):
        client.call(ask(1))
        impostor = ServiceClient(make_node("actor/0"), [address], window=4)
        with pytest.raises(Refused, match=r"the name actor/0 is held by incarnation 1 \(pid"):
            impostor.call(ask(1))
        with pytest.raises(Refused):
            impostor.submit(ask(1))
        assert client.call(ask(2)).arrays["y"] == 4


def test_a_later_incarnation_takes_the_name_over(
    server: ServiceServer, client: ServiceClient, make_node: MakeNode, address: str
) -> None:
    with serving(server, double):
        client.call(ask(1))
        heir = ServiceClient(make_node("actor/0", 2), [address], window=4)
        assert heir.call(ask(1)).arrays["y"] == 2
        with pytest.raises(Refused, match="was replaced by incarnation 2"):
            client.call(ask(2))


def test_only_the_asked_server_of_this_session_can_answer(make_node: MakeNode, address: str) -> None:
    """A ROUTER that answers what was not asked, as another session's, as a replaced server, and then rightly."""
    with ExitStack() as stack:
        context = stack.enter_context(zmq.Context())
        router = stack.enter_context(context.socket(zmq.ROUTER))
        router.linger = 0
        router.bind(address)
        client = ServiceClient(make_node("actor/0"), [address], window=4)
        pending = client.submit(ask(1), timeout=60)
        packet = None
        while packet is None or packet.kind != Kind.REQUEST:
            assert router.poll(20_000)
            route, *frames = router.recv_multipart()
            packet = decode(frames)
        assert 0 < packet.round <= 60_000

        def answer(kind: Kind, session: int, seq: int, incarnation: int) -> None:
            body = encode_body("server/0", incarnation, meta={"from": incarnation}).body
            router.send_multipart([route, encode_prefix(kind, Outcome.ANSWERED, session, seq, 0) + body])

        answer(Kind.ACK, packet.session, 0, 5)
        answer(Kind.REPLY, packet.session + 1, packet.seq, 5)
        answer(Kind.REPLY, packet.session, packet.seq, 4)
        answer(Kind.REPLY, packet.session, packet.seq + 1, 5)
        answer(Kind.DATA, packet.session, packet.seq, 5)
        router.send_multipart([route, b"garbage"])
        answer(Kind.REPLY, packet.session, packet.seq, 5)
        assert pending.result().meta == {"from": 5}
        assert client.stats.refused == 5


def test_garbage_and_other_kinds_are_refused_and_do_not_disturb(
    server: ServiceServer, client: ServiceClient, address: str
) -> None:
    noise = np.random.default_rng(1)
    with serving(server, double), zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.linger = 0
        dealer.connect(address)
        stray = encode_prefix(Kind.DATA, 0, 1, 0, 0) + encode_body("actor/9", 1).body
        dealer.send_multipart([stray])
        for size in (0, 3, 40, 400):
            dealer.send(noise.bytes(size))
        assert dealer.poll(20_000)
        assert decode(dealer.recv_multipart()).kind == Kind.REFUSED
        for i in range(50):
            assert client.call(ask(i)).arrays["y"] == 2 * i
        deadline = time.monotonic() + 120
        while server.stats.refused < 5 and time.monotonic() < deadline:
            client.call(ask(0))
    assert server.stats.refused == 5
