#!/usr/bin/env bash
# CPython's profiling hook (sys.setprofile) says `call` for a Python function and `c_call` for one of C. A loop that numba
# 0.68.1 compiled is machine code, so a profiler that splits time into Python and native code asks for `c_call`.
# Expected: a call of an @njit function is a `c_call` and its `c_return`; those that it calls in turn are seen too, or none.
# Seen (CPython 3.11.7): it is a `call` and a `return`, with a frame of the Python source, as if that were interpreted: all
# its time is Python's. The @njit function inside is no event at all, while without compilation (py_func) it is. So the
# compiled loop of a learner looks like slow Python, and one call deep.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "numba==0.68.1" "numpy==2.4.6"
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import numba
import numpy as np


@numba.njit
def square(x):
    return x * x


@numba.njit
def norm(a):
    total = 0.0
    for i in range(a.size):
        total += square(a[i])
    return total


def events(function, argument):
    seen = []

    def note(frame, event, _):
        if frame.f_code.co_name != "events":
            seen.append((event, frame.f_code.co_name))

    sys.setprofile(note)
    function(argument)
    sys.setprofile(None)
    return seen


a = np.ones(3)
norm(a)
print("Python", sys.version.split()[0], "numba", numba.__version__)
compiled, plain = events(norm, a), events(norm.py_func, a)
print("compiled:", compiled)
print("interpreted:", plain[:4], "...")
sys.exit(compiled != [("call", "norm"), ("return", "norm")])
PYTHON
