#!/usr/bin/env bash
# ray 2.60.0: a driver that asked for no output of workers gets Ray's own messages on its standard output.
#
# Expected: ray.init(log_to_driver=False, logging_level="ERROR", configure_logging=False) leaves standard output to the
# program, so that it can print a document there, and Ray's messages about nodes go to standard error or a log.
# Seen: when a raylet dies, a thread of the driver prints "(raylet) Raylet is terminated ..." and, when the cluster
# notices, "... has been marked dead ..." on standard output, in the middle of what the program prints.
# No argument of ray.init turns it off.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet ray==2.60.0
cat > "$folder/driver.py" <<'PYTHON'
import json
import os
import signal
import sys
import time

import ray
from ray.cluster_utils import Cluster

small = {"num_cpus": 1, "object_store_memory": 80_000_000}
cluster = Cluster(initialize_head=True, head_node_args={**small, "include_dashboard": False})
node = cluster.add_node(**small)
ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR", configure_logging=False)
os.kill(node.all_processes["raylet"][0].process.pid, signal.SIGKILL)
deadline = time.monotonic() + 90
while sum(each["Alive"] for each in ray.nodes()) > 1 and time.monotonic() < deadline:
    time.sleep(0.5)
time.sleep(2)
print(json.dumps({"result": 1}), flush=True)
ray.shutdown()
cluster.shutdown()
PYTHON
RAY_USAGE_STATS_ENABLED=0 "$folder/venv/bin/python" -W ignore "$folder/driver.py" > "$folder/out" 2> "$folder/err" || tail -n 20 "$folder/err"
echo "standard output of the driver:"
cut -c1-100 "$folder/out" | grep -v "state-dump"
grep -q '{"result": 1}' "$folder/out"
if ! grep -q "raylet" "$folder/out"; then
  echo "changed: only the program itself printed on standard output"
  exit 1
fi
