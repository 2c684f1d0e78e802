"""The daemon on Twisted: sockets, HTTP and TLS, hosts, the cache and the pools of workers."""
