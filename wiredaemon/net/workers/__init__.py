"""The pool of worker processes, as the daemon sees it."""
