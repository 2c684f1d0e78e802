"""Converts values to bytes and back: frames, CBOR, content encodings, the table of dialects.

No module here keeps the state of a connection, and none does input or output.
"""
