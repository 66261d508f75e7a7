"""Cost of running on a cluster: placing, rendering, the operator, the Ray backend."""
