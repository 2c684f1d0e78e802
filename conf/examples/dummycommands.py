"""Two minimal commands: one needs the permission to read, the other the permission to write."""

from wiredaemon.commands import Permission, RawBytes, command


@command("customreadonly", permission=Permission.RO)
def customreadonly(context):
    """Return raw bytes to a peer that may read."""
    return RawBytes(b"customreadonly bytes response")


@command("customreadwrite", permission=Permission.RW)
def customreadwrite(context):
    """Return raw bytes to a peer that may write."""
    return RawBytes(b"customreadwrite bytes response")
