"""Accounts: users, their passwords, their tokens and their groups.

Owns the files of accounts and all that stands between credentials and a ``Login``. What a user may
do is decided elsewhere; how credentials arrive is the transports' business.
"""
