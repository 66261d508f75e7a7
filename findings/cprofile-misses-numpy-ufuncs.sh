#!/usr/bin/env bash
# CPython's profiling hook (sys.setprofile, and cProfile on it) is told of calls of C functions. numpy 2.4.6's ufuncs
# and its operators are none to it: objects of the type numpy.ufunc, and slots of the array type.
# Expected: a profile of 200 x (np.tanh, @, np.exp) names 600 calls of numpy and most of the time as theirs, as it does for
# 200 calls of the method a.sum().
# Seen (CPython 3.11.7): not one of the 600 is there. Their time is that of the Python function around them, so a policy in
# numpy looks like slow Python, and counts of crossings between Python and C are far too low.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "numpy==2.4.6"
"$folder/venv/bin/python" - <<'PYTHON'
import cProfile
import pstats
import sys

import numpy as np

a = np.random.default_rng(0).random((60, 60))


def ufuncs() -> None:
    for _ in range(200):
        np.tanh(a)
        a @ a
        np.exp(a)


def methods() -> None:
    for _ in range(200):
        a.sum()


def profiled(work):
    profile = cProfile.Profile()
    profile.runcall(work)
    rows = pstats.Stats(profile).stats
    own = next(row[2] for (_, _, name), row in rows.items() if name == work.__name__)
    calls = sum(row[0] for (_, _, name), row in rows.items() if name != work.__name__ and "disable" not in name)
    return calls, own / sum(row[2] for row in rows.values())


print("Python", sys.version.split()[0], "numpy", np.__version__)
seen, share = profiled(ufuncs)
print(f"600 ufuncs and operators: {seen} calls in the profile, {share:.0%} of the time is 'ufuncs' itself")
named, rest = profiled(methods)
print(f"200 methods: {named} calls in the profile, {rest:.0%} of the time is 'methods' itself")
sys.exit(not (seen == 0 and share > 0.95 and named >= 200))
PYTHON
