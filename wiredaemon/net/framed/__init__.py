"""The framing on raw sockets: TCP, TLS and Unix sockets, in full duplex."""
