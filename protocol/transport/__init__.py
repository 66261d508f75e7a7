"""ZeroMQ sockets of packets: connections, keys, sessions, and the I/O thread that serves them."""
