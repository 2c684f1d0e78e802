"""Hosts: which repository a path leads to, its settings, and access to it."""
