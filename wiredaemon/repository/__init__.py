"""Mercurial repositories: the worker program, its commands, and what the daemon knows of them."""
