#!/usr/bin/env bash
# minari 0.5.4 with h5py 3.16.0: combine_datasets drops the seed of every episode.
# Expected: a combined dataset has the seeds of the episodes that it was made of, by which an episode can be repeated.
# Seen: the seed stands in each episode's metadata of the source and in none of the combined dataset, without a warning.
# Cause: update_from_storage asks the dictionary of get_episodes for "seed", and that has no such key.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q minari==0.5.4 h5py==3.16.0 pillow==12.0.0 jax==0.7.1 2>/dev/null
export MINARI_DATASETS_PATH="$folder/datasets"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import gymnasium
import minari

env = minari.DataCollector(gymnasium.make("CartPole-v1"))
for seed in (11, 12):
    env.reset(seed=seed)
    done = False
    while not done:
        _, _, terminated, truncated, _ = env.step(0)
        done = terminated or truncated
source = env.create_dataset("test/source-v0", ref_min_score=0.0, ref_max_score=1.0)
both = minari.combine_datasets([source], "test/combined-v0")

def seeds(dataset):
    return [each.get("seed") for each in dataset.storage.get_episode_metadata(range(2))]

print("seeds of the source:  ", seeds(source))
print("seeds of the combined:", seeds(both))
assert seeds(source) == [11, 12]
assert seeds(both) == [None, None], "minari has changed"
PYTHON
