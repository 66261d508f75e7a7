#!/usr/bin/env bash
# torch 2.13.0, torch.distributed with the gloo backend, two processes on one machine.
#
# Expected: MASTER_PORT is the one port of a group, so that a firewall or a Kubernetes NetworkPolicy that admits it (and
# the store behind it) lets the group work.
# Seen: besides MASTER_PORT every rank listens on a port that the kernel picks, another one at each start, and the others
# connect to that. No environment variable or argument of init_process_group sets it: GLOO_SOCKET_IFNAME names an
# interface only. A policy has to admit all ports between the ranks.
#
# Prints the listening ports of two starts and fails if a rank listens on no port of its own, or twice on the same.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6 psutil==7.2.2
cat > "$folder/group.py" <<'PYTHON'
import os
import socket
import sys

import psutil
import torch
import torch.distributed as dist
import torch.multiprocessing as mp


def rank(index, port, queue):
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo"}
    dist.init_process_group("gloo", rank=index, world_size=2)
    total = torch.ones(3)
    dist.all_reduce(total)
    assert total.tolist() == [2.0, 2.0, 2.0]
    ports = {each.laddr.port for each in psutil.Process().net_connections() if each.status == psutil.CONN_LISTEN}
    queue.put((index, sorted(ports - {port})))
    dist.barrier()
    dist.destroy_process_group()


def start():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    queue = mp.get_context("spawn").SimpleQueue()
    mp.spawn(rank, (port, queue), nprocs=2)
    return dict(queue.get() for _ in range(2))


if __name__ == "__main__":
    print("torch", torch.__version__)
    starts = [start(), start()]
    for number, found in enumerate(starts, 1):
        print(f"start {number}: listening besides MASTER_PORT: rank 0 {found[0]}, rank 1 {found[1]}")
    others = [set(found[index]) for found in starts for index in (0, 1)]
    if not all(others):
        sys.exit("a rank listens on no port of its own: the behaviour has changed")
    if others[0] & others[2] or others[1] & others[3]:
        sys.exit("a rank listens on the same port again: the behaviour has changed")
PYTHON
"$folder/venv/bin/python" "$folder/group.py"
