"""The Twisted shells: bytes from sockets into connections, and answers back."""
