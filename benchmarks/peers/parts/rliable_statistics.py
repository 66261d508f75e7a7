"""Statistics of rliable on returns from standard input, as JSON; runs under an interpreter that has rliable 1.2.0."""

import json
import sys
import warnings

import numpy as np
from rliable import library, metrics

REPETITIONS = 20_000


def interval(values, seed):
    """Return the interquartile mean of returns [runs, 1] and the ends of its interval."""
    point, ends = library.get_interval_estimates(
        {"one": values},
        lambda runs: np.array([metrics.aggregate_iqm(runs)]),
        reps=REPETITIONS,
        random_state=np.random.RandomState(seed),
    )
    return {"iqm": float(point["one"][0]), "interval": ends["one"][:, 0].tolist()}


def main():
    """Answer for each case {name, ours, theirs}."""
    warnings.simplefilter("ignore")
    found = {}
    for case in json.load(sys.stdin):
        ours, theirs = (np.array(case[key])[:, None] for key in ("ours", "theirs"))
        found[case["name"]] = {
            "ours": interval(ours, 0),
            "theirs": interval(theirs, 1),
            "improvement": float(metrics.probability_of_improvement(ours, theirs)),
        }
    json.dump(found, sys.stdout)


main()
