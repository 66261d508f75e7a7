"""Experiment -> Plan -> running processes: the documents, the placement, the backends.

Must not be here: tensors, sockets, physics. torch, zmq and mujoco are never imported by this layer.
"""
