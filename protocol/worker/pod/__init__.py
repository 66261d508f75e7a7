"""The pod of a worker: its first process, its identity, its hangs and its crashes."""
