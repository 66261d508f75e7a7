"""TD3+BC of CORL's own script, timed: `python corl_td3bc.py td3_bc.py THREADS` under a Python with torch and numpy.

Each line "N" on the standard input makes N updates, of batches of 256 that its own replay buffer samples, and prints
the seconds. What the script imports beside torch and numpy is left out: it steps no environment and logs nothing.
"""

import importlib.util
import sys
import time
import types

import numpy as np
import torch

for name in ("d4rl", "gym", "pyrallis", "wandb"):
    stand_in = types.ModuleType(name)
    stand_in.Env = object
    stand_in.wrap = lambda *arguments, **more: lambda function: function
    sys.modules[name] = stand_in

found = importlib.util.spec_from_file_location("td3_bc", sys.argv[1])
script = importlib.util.module_from_spec(found)
sys.modules["td3_bc"] = script
found.loader.exec_module(script)

STATE, ACTION, ROWS = 17, 6, 100_000
torch.set_num_threads(int(sys.argv[2]))
torch.manual_seed(0)
rng = np.random.default_rng(0)
buffer = script.ReplayBuffer(STATE, ACTION, ROWS)
buffer.load_d4rl_dataset(
    {
        "observations": rng.standard_normal((ROWS, STATE)),
        "actions": np.tanh(rng.standard_normal((ROWS, ACTION))),
        "rewards": rng.standard_normal(ROWS),
        "next_observations": rng.standard_normal((ROWS, STATE)),
        "terminals": np.zeros(ROWS),
    }
)
parts = []
for network in (script.Actor(STATE, ACTION, 1.0), script.Critic(STATE, ACTION), script.Critic(STATE, ACTION)):
    parts += [network, torch.optim.Adam(network.parameters(), lr=3e-4)]
trainer = script.TD3_BC(1.0, *parts)
for line in sys.stdin:
    began = time.perf_counter()
    for _ in range(int(line)):
        trainer.train(buffer.sample(256))
    print(time.perf_counter() - began, flush=True)
