"""Repositories as the daemon and its workers both know them, without Mercurial or Twisted."""
