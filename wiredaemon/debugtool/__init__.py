"""The debug client tool: scripts of requests, sent to a server, and the transcript of all bytes.

Owns what ``wiredaemon debugwireproto`` does; its arguments are the command line's. Everything here
blocks: a script has one request after the other.

Source: client-tool, sections 1 to 3.
"""
