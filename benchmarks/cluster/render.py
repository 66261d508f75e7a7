"""CPU that it takes to plan a run of many actors for a cluster, to draw its objects and to check them.

python benchmarks cluster.render --actors 1000
"""

import argparse
import json
import time
from pathlib import Path

from surreal.orchestrator.backends.kube.manifests.render import render
from surreal.orchestrator.backends.kube.names import ZERO_RUN_ID
from surreal.orchestrator.experiment.load import load_experiment
from surreal.orchestrator.plan.make import make_plan
from surreal.orchestrator.plan.model import PlannedStorage
from surreal.orchestrator.run.wiring import key_files
from surreal.provisioner.pools.model import NodePool

EXAMPLE = Path(__file__).parents[2] / "examples" / "cheetah-ppo.yaml"
POOL = NodePool("cpu", nodes=100, cpu=15.0, memory=60 * 2**30, provider="gke", selector={"surreal.dev/pool": "cpu"})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--actors", type=int, default=1000)
    actors = parser.parse_args().actors
    experiment = load_experiment(EXAMPLE, [f"spec.roles.actor.replicas={actors}"])
    began = time.process_time()
    plan = make_plan(experiment, [POOL]).model_copy(update={"storage": PlannedStorage(kind="claim", size=10 * 2**30)})
    planned = time.process_time()
    keys = key_files(plan)
    objects = render(plan, ZERO_RUN_ID, "lab", keys=keys, code=None, experiment=experiment.to_yaml())
    drawn = time.process_time()
    size = sum(len(json.dumps(each)) for each in objects)
    print(f"{actors:,} actors: plan {planned - began:.2f} CPU-s, render {drawn - planned:.2f} CPU-s")
    # one request for each object; then the claim and the root are sealed
    print(f"{len(objects)} objects of {size:,} bytes together, {len(objects) + 2} writes")


if __name__ == "__main__":
    main()
