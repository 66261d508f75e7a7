"""What two processes must agree on: wiring, channels on ZeroMQ, codec, liveness, process life cycle.

Belongs here: anything both ends of a socket, or a backend and the process it starts, must share.
Must not be here: an algorithm, a cluster, a file format of an experiment. Imports no other layer.
"""
