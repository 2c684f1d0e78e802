"""Benchmarks: compare the processor time of a call in the daemon with that in its peers.

``make bench`` or ``python -m benchmarks`` runs them; README.md explains each figure. The package
owns the servers of the peers, ready-made loads, measuring and the report; the daemon does not
import it.
"""
