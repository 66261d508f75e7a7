"""Tables of tasks x seeds x contestants: running them as experiments, keeping their rows, reporting them."""
