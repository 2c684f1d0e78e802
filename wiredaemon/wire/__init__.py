"""Values to bytes and back: frames, CBOR, content encodings, the table of dialects.

Nothing here keeps the state of a connection and nothing here does input or output.
"""
