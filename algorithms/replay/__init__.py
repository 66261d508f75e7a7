"""Replay: shards that keep experience in typed ring buffers, and the learner's client that samples all of them."""
