"""Broadcasts: the newest value of one publisher, for many readers."""
