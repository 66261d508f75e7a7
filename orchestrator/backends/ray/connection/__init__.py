"""Connection to a Ray cluster: its address and token, one of our own, and what it offers."""
