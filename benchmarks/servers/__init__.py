"""The servers that are measured: each a short program that prints its port when it is ready."""
