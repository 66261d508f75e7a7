#!/usr/bin/env bash
# kubernetes 37.0.2 (the official Python client; 34.1.0 does the same), CustomObjectsApi.patch_*.
#
# Expected: a JSON patch (RFC 6902, a list of operations) goes out as application/json-patch+json, for an object of a
# custom resource as for a ConfigMap, whose methods choose the content type by the body.
# Seen: the list goes out as application/merge-patch+json where the object is a custom resource, and for its scale and
# status too. An API server answers 400, since a merge patch is no list. With
# _content_type="application/json-patch+json" it is sent as what it is.
#
# Prints what a small server on loopback is sent, and fails if the list of a custom object goes out as a JSON patch.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/patches.py" <<'PYTHON'
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import kubernetes
from kubernetes import client

OPERATIONS = [{"op": "add", "path": "/spec/suspend", "value": True}]
SENT = []


class ApiServer(BaseHTTPRequestHandler):
    def do_PATCH(self):
        assert json.loads(self.rfile.read(int(self.headers["Content-Length"]))) == OPERATIONS
        SENT.append(self.headers["Content-Type"])
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b'{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}')

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), ApiServer)
threading.Thread(target=server.serve_forever, daemon=True).start()
settings = client.Configuration()
settings.host = f"http://127.0.0.1:{server.server_port}"
made = client.ApiClient(settings)
custom = client.CustomObjectsApi(made)
where = ("example.com", "v1", "default", "things", "x")
client.CoreV1Api(made).patch_namespaced_config_map("x", "default", OPERATIONS)
custom.patch_namespaced_custom_object(*where, OPERATIONS)
custom.patch_namespaced_custom_object_status(*where, OPERATIONS)
custom.patch_namespaced_custom_object_scale(*where, OPERATIONS)
custom.patch_namespaced_custom_object(*where, OPERATIONS, _content_type="application/json-patch+json")
print("kubernetes", kubernetes.__version__)
for what, how in zip(("a ConfigMap", "a custom object", "its status", "its scale", "one, told how"), SENT, strict=True):
    print(f"a list of operations for {what}: {how}")
if SENT[0] != "application/json-patch+json" or set(SENT[1:4]) != {"application/merge-patch+json"}:
    sys.exit("a list of operations goes out otherwise: the behaviour has changed")
PYTHON
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet kubernetes==37.0.2
"$folder/venv/bin/python" "$folder/patches.py"
