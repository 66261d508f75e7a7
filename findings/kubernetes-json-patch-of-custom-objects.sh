#!/usr/bin/env bash
# kubernetes 37.0.2 (the official Python client), CustomObjectsApi.patch_*, with kubernetes 34.1.0 beside it.
#
# Expected: a JSON patch (RFC 6902, a list of operations) goes out as application/json-patch+json, for an object of a
# custom resource as for a ConfigMap, and as version 34 sends it.
# Seen: version 37 sends the list as application/merge-patch+json where the object is a custom resource, and its scale or
# status too; an API server answers 400, since a merge patch is no list. Code that passed operations works no more after
# the update. With _content_type="application/json-patch+json" it does.
#
# Prints what a small server on loopback is sent, and fails if version 37 sends the list of a custom object as JSON patch.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/patches.py" <<'PYTHON'
import json
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
for what, how in zip(("ConfigMap", "custom object", "its status", "its scale"), SENT, strict=True):
    print(f"kubernetes {kubernetes.__version__}: a list of operations for a {what}: {how}")
PYTHON
for version in 34.1.0 37.0.2; do
    python3 -m venv "$folder/$version"
    "$folder/$version/bin/pip" install --quiet "kubernetes==$version"
    "$folder/$version/bin/python" "$folder/patches.py" | tee "$folder/$version.txt"
done
if ! grep -q "34.1.0.*custom object: application/json-patch+json" "$folder/34.1.0.txt"; then
    echo "version 34 sends no JSON patch: the behaviour is not as described"; exit 1
fi
if grep -q "custom object: application/json-patch+json" "$folder/37.0.2.txt"; then
    echo "version 37 sends a JSON patch: the behaviour has changed"; exit 1
fi
