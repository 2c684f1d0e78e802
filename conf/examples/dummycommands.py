"""The two smallest commands: one for everybody who may read, one for those who may write."""

from wiredaemon.commands import Permission, RawBytes, command


@command("customreadonly", permission=Permission.RO)
def customreadonly(context):
    """Answer raw bytes to whoever may read."""
    return RawBytes(b"customreadonly bytes response")


@command("customreadwrite", permission=Permission.RW)
def customreadwrite(context):
    """Answer raw bytes to whoever may write."""
    return RawBytes(b"customreadwrite bytes response")
