"""Machinery of the operator: watches, the queue, the election of a leader, health."""
