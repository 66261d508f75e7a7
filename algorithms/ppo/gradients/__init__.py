"""Gradients of the PPO loss: by hand in numpy, or by autograd in torch."""
