#!/usr/bin/env bash
# ray 2.60.0: a driver obeys RAY_BACKEND_LOG_LEVEL once it has connected, and not before.
#
# Expected: with RAY_BACKEND_LOG_LEVEL=error, set outside of the process, nothing below an error is logged. A program that
#           waits for a cluster, calling ray.init(address=...) until it answers, shows nothing but what it prints itself.
# Seen:     in a driver that connects the level holds: its own log has lines at info and none at error. While ray.init
#           cannot connect, each of its attempts writes three warnings to standard error, at error and at fatal as well.
#           logging_level, log_to_driver and configure_logging do not reach them: C++ writes them to file descriptor 2.
#           The exception that follows says the same, so nothing would be lost.
# Matters:  tools that tell their user one sentence of their own while a head starts.
# Known:    no issue of Ray was found. Issue 10511 (2020, closed) was about lines of a driver that does connect.
#
# Prints the warnings of one attempt and the lines in the log of a driver, for each level. Fails if a level is obeyed early,
# or not obeyed late. Three variables of Ray shorten the attempts from minutes to some seconds.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet ray==2.60.0
export RAY_USAGE_STATS_ENABLED=0
cat > "$folder/waits.py" <<'PYTHON'
import socket

import ray

with socket.socket() as taken:
    taken.bind(("", 0))  # a port at which nobody listens
    address = f"127.0.0.1:{taken.getsockname()[1]}"
    try:
        ray.init(address=address, logging_level="ERROR", log_to_driver=False, configure_logging=False)
    except ConnectionError as error:
        print(type(error).__name__)
PYTHON
cat > "$folder/connects.py" <<'PYTHON'
import sys
from pathlib import Path

import ray

ray.init(num_cpus=1, object_store_memory=80_000_000, include_dashboard=False, log_to_driver=False, _temp_dir=sys.argv[1])
(log,) = Path(sys.argv[1]).glob("session_latest/logs/python-core-driver-*.log")
print(sum(line.startswith("[20") for line in log.read_text().splitlines()))  # a line begins with its date
ray.shutdown()
PYTHON
early=""
for level in info error fatal debug; do
  raised=$(RAY_BACKEND_LOG_LEVEL=$level RAY_py_gcs_connect_timeout_s=2 RAY_gcs_rpc_server_connect_timeout_s=1 \
    RAY_NUM_REDIS_GET_RETRIES=1 "$folder/venv/bin/python" -W ignore "$folder/waits.py" 2> "$folder/$level")
  early="$early $(grep -c " W .*Failed to" "$folder/$level" || true)"
  echo "no cluster, level $level: $raised, warnings on standard error: ${early##* }"
done
echo "at fatal:" && grep " W " "$folder/fatal" | cut -d ' ' -f 6- | sed 's/ at address .*/ .../'
late=""
for level in info error; do
  lines=$(RAY_BACKEND_LOG_LEVEL=$level "$folder/venv/bin/python" -W ignore "$folder/connects.py" "$folder/r$level" 2> /dev/null)
  late="$late $lines"
  echo "connected,  level $level: lines in the driver's log: ${late##* }"
done
[[ $early == " 3 3 3 3" && $late != " 0 0" && $late == *" 0" ]] || { echo "the behaviour has changed"; exit 1; }
