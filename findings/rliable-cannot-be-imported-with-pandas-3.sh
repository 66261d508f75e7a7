#!/usr/bin/env bash
# rliable 1.2.0 with arch 7.2.0 and pandas 3.1.1: what `pip install rliable` resolves to cannot be imported.
#
# Expected: the package of Agarwal et al. (2021), the field's reference for interquartile means and their intervals,
#           works in the environment that its own requirements lead to.
# Seen:     `from rliable import library` ends with a TypeError while its bootstrap package `arch` is imported. With
#           pandas 2.3.3 in the same environment the import works, and so do the intervals.
# Cause:    rliable asks for arch below 8 and for any pandas; arch 7 uses a private decorator of pandas whose arguments
#           changed in pandas 3. arch 8 has its own, and rliable excludes it.
# Matters:  a project that reports these statistics has to cap pandas for all its environment, or compute them itself.
# Known:    of statsmodels, issue 9614, which mended it. None was found on rliable.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet rliable==1.2.0 arch==7.2.0 pandas==3.1.1 numpy==2.4.6
said=$("$folder/venv/bin/python" -c "from rliable import library" 2>&1 | tail -n 1 || true)
echo "pandas 3.1.1: $said"
[[ $said == TypeError:*deprecate_kwarg* ]] || { echo "rliable, arch or pandas has changed"; exit 1; }
"$folder/venv/bin/pip" install --quiet pandas==2.3.3
"$folder/venv/bin/python" -W ignore - <<'PY'
import numpy as np
from rliable import library, metrics

scores = {"ours": np.random.default_rng(0).normal(1.0, 0.3, (3, 5))}
statistic = lambda table: np.array([metrics.aggregate_iqm(table)])
means, intervals = library.get_interval_estimates(scores, statistic, reps=200)
print(f"pandas 2.3.3: interquartile mean {means['ours'][0]:.4f}, interval {intervals['ours'].ravel().round(2)}")
assert abs(means["ours"][0] - 0.9473) < 1e-3 and intervals["ours"][0] < means["ours"] < intervals["ours"][1]
PY
