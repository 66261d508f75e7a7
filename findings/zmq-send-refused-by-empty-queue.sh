#!/usr/bin/env bash
# pyzmq 27.3.0 with libzmq 4.3.5, one thread, a DEALER that sends to a DEALER over inproc, high-water marks of 10.
#
# Expected: send(..., NOBLOCK) raises Again while the queue holds as many messages as the high-water marks allow. Here each
# message is received before the next one is sent, so that the queue never holds more than one.
# Seen: about every twentieth send raises Again, and the same send goes on raising it for a millisecond or more. libzmq
# counts as queued what it has not yet heard to be read; a send that must not wait hears of that only each few million
# ticks of the CPU's clock, and does not look again before it says no, as a receive does. Reading the option EVENTS makes it
# look, and the next send is taken.
#
# Prints how many of 2,000 sends were refused, without and with that look, and fails if none is refused without it or any with it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pyzmq==27.3.0
cat > "$folder/refused.py" <<'PYTHON'
import sys

import zmq

SENDS, MARK = 2000, 10


def refused(context, address, look):
    """Return the number of sends that were refused although the message before was received."""
    receiver, sender = context.socket(zmq.DEALER), context.socket(zmq.DEALER)
    for socket in (receiver, sender):
        socket.set_hwm(MARK)
    receiver.bind(address)
    sender.connect(address)
    count = 0
    for _ in range(SENDS):
        if look:
            sender.getsockopt(zmq.EVENTS)
        try:
            sender.send(b"message", zmq.NOBLOCK)
        except zmq.Again:
            count += 1
            sender.send(b"message")
        assert receiver.recv() == b"message"
    return count


print("pyzmq", zmq.pyzmq_version(), "libzmq", zmq.zmq_version())
with zmq.Context() as context:
    plain, looking = refused(context, "inproc://plain", False), refused(context, "inproc://looking", True)
    context.destroy(linger=0)
print(f"{plain} of {SENDS} sends refused; {looking} where the option EVENTS is read before each")
if not plain or looking:
    sys.exit("the behaviour has changed")
PYTHON
"$folder/venv/bin/python" "$folder/refused.py"
