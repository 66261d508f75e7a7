"""Rollouts: fragments of experience from actors to learners, the same for every algorithm that learns from them."""
