"""Clients that are measured with their servers: programs that call as often as they are told."""
