"""Gradient updates of DDPG, TD3, SAC and DQN: by hand in numpy, or by torch's autograd."""
