#!/usr/bin/env bash
# ray 2.60.0: ray.init takes the program's SIGTERM handler away, without a word, and ray.shutdown does not give it back.
#
# Expected: a program that saves a checkpoint on SIGTERM, as spot machines and batch schedulers send it, keeps its handler
# when it also uses Ray; or Ray calls it first; or ray.shutdown restores it. Importing ray does leave it alone.
# Seen: ray.init replaces it in the main thread. SIGTERM then ends the program, and nothing of the handler runs, neither
# while Ray is in use nor after ray.shutdown. No argument of ray.init turns it off; a handler set afterwards stays.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet ray==2.60.0
cat > "$folder/program.py" <<'PYTHON'
import os
import signal
import sys
import time


def save(number, frame):
    print("saved a checkpoint", flush=True)
    sys.exit(0)


signal.signal(signal.SIGTERM, save)
import ray

print("kept by import ray:", signal.getsignal(signal.SIGTERM) is save, flush=True)
ray.init("local", num_cpus=1, include_dashboard=False, object_store_memory=80_000_000, log_to_driver=False)
print("kept by ray.init:", signal.getsignal(signal.SIGTERM) is save, flush=True)
ray.shutdown()
print("given back by ray.shutdown:", signal.getsignal(signal.SIGTERM) is save, flush=True)
if "again" in sys.argv:
    signal.signal(signal.SIGTERM, save)
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(10)
PYTHON
export HOME="$folder" RAY_USAGE_STATS_ENABLED=0
code=0
"$folder/venv/bin/python" -W ignore "$folder/program.py" > "$folder/out" 2> "$folder/err" || code=$?
cat "$folder/out"
echo "exit code after SIGTERM: $code"
again=0
"$folder/venv/bin/python" -W ignore "$folder/program.py" again > "$folder/out-again" 2>> "$folder/err" || again=$?
echo "with the handler set once more after ray.shutdown: exit code $again, $(tail -n 1 "$folder/out-again")"
grep -qx "kept by import ray: True" "$folder/out"
grep -qx "kept by ray.init: False" "$folder/out"
grep -qx "given back by ray.shutdown: False" "$folder/out"
! grep -q "saved a checkpoint" "$folder/out"
[ "$code" -ne 0 ] && [ "$again" -eq 0 ]
