"""Membership of a run: heartbeats, liveness and the stop."""
