#!/usr/bin/env bash
# kubernetes 37.0.2 (the official Python client), kubernetes.stream, one ApiClient in two threads, any API server.
#
# Expected: two `stream(api.connect_get_namespaced_pod_exec, ...)` at once, which the client's own pool of connections
# invites to, return their outputs, and the client lists pods afterwards as it did before.
# Seen: while a stream opens, `stream` puts a function of its own in the place of `ApiClient.call_api`, and puts back what
# it found there. A list of another thread meanwhile goes out as a websocket. Where the stream that began first ends
# first, the second puts the first one's function back: every later request of that client is sent as a websocket and
# fails, for as long as the process lives. A client for each thread, or a lock around `stream`, helps.
#
# Starts a small API server on loopback that knows `exec` and an empty list of pods. Prints both outputs and what the list
# gives before and after, and fails if the list works after two streams.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet kubernetes==37.0.2 websocket-client==1.9.2
cat > "$folder/streams.py" <<'PYTHON'
import base64
import hashlib
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from kubernetes import client
from kubernetes.client.exceptions import ApiException
from kubernetes.stream import stream

ARRIVED = {pod: threading.Event() for pod in ("a", "b")}
RELEASED = {pod: threading.Event() for pod in ("a", "b")}
ASKED = []


class ApiServer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        ASKED.append((self.path.partition("?")[0], self.headers.get("Upgrade") or "plain"))
        if "/exec" in self.path:
            return self.execute(self.path.split("/pods/")[1][0])
        body = json.dumps({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": []}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def execute(self, pod):
        ARRIVED[pod].set()
        RELEASED[pod].wait(60)
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        self.send_header("Sec-WebSocket-Protocol", "v4.channel.k8s.io")
        self.end_headers()
        message = b"\x01output of " + pod.encode()
        self.wfile.write(bytes((0x82, len(message))) + message + b"\x88\x02\x03\xe8")
        self.close_connection = True

    def log_message(self, *_):
        pass


def pods(api):
    try:
        return f"{len(api.list_namespaced_pod('default').items)} pods"
    except ApiException as error:
        return f"ApiException: {str(error.reason).splitlines()[0][:60]}"


server = ThreadingHTTPServer(("127.0.0.1", 0), ApiServer)
threading.Thread(target=server.serve_forever, daemon=True).start()
api = client.CoreV1Api(client.ApiClient(client.Configuration(host=f"http://127.0.0.1:{server.server_port}")))
outputs = {}


def execute(pod):
    ask = api.connect_get_namespaced_pod_exec
    outputs[pod] = stream(ask, pod, "default", command=["true"], stdout=True, stderr=True, stdin=False, tty=False)


threads = {pod: threading.Thread(target=execute, args=(pod,)) for pod in ("a", "b")}
print("kubernetes", client.__version__)
print("list before:", pods(api))
for pod, thread in threads.items():
    thread.start()
    assert ARRIVED[pod].wait(60)
during = pods(api)
print("list while both open:", during)
for pod, thread in threads.items():
    RELEASED[pod].set()
    thread.join()
print("outputs:", outputs)
after = pods(api)
print("list after:", after)
for path, how in ASKED:
    print(f"  the server was asked: {path} ({how})")
if not after.startswith("ApiException") or ASKED[-1][1] != "websocket":
    sys.exit("a list works after two streams: the behaviour has changed")
PYTHON
"$folder/venv/bin/python" "$folder/streams.py"
