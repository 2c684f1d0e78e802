"""Commands called with JSON over HTTP, below ``json``, for clients that have no frames."""
