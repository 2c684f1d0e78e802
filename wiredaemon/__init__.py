"""A Twisted daemon for Mercurial's frame-based wire protocol (hgrpc)."""

__version__ = "0.1.0"
