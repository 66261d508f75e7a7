"""The speed of the channels beside raw pyzmq on this machine, in this hour: `surreal bench protocol`."""
