"""How fast the channels are beside raw pyzmq on this machine, in this hour: `surreal bench protocol`."""
