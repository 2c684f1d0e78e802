"""Benchmarks: what a call costs the daemon's processor, beside what it costs its peers.

Run by ``make bench`` or ``python -m benchmarks``; README.md says what each figure means. Owns the
servers of the peers, ready-made loads, measuring and the report; nothing of the daemon imports it.
"""
