"""The errors that end a run of the debug client tool, with their exit statuses."""

from __future__ import annotations

from typing import ClassVar


class ToolError(Exception):
    """The run ends with ``abort: TEXT``. Source: client-tool, section 1."""

    status: ClassVar[int] = 255
    """The exit status of the run."""

    def __init__(self, text: str, hint: str = "") -> None:
        """Take the text in one line and, after it, what may help."""
        super().__init__(text)
        self.hint = hint


class ScriptError(ToolError):
    """The script asks for what cannot be sent.

    Mercurial's tool ends with a traceback and this status. Source: client-tool, section 3.7.
    """

    status: ClassVar[int] = 1
