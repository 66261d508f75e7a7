"""Off-policy learning on sharded replay: DDPG, TD3, SAC and DQN."""
