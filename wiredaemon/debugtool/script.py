"""Scripts: blocks of an action and the indented lines that belong to it.

Source: client-tool, section 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from wiredaemon.debugtool.errors import ToolError

LARGEST_SCRIPT: Final = 16 * 1024 * 1024
"""The most bytes of a script that are read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One action of a script."""

    action: bytes
    """The line that begins the block, for instance ``command heads``."""
    lines: tuple[bytes, ...]
    """The lines that belong to it, without leading and trailing white space."""

    @property
    def shown(self) -> str:
        """The action as text."""
        return self.action.decode("utf-8", "backslashreplace")


def parse_script(text: bytes) -> tuple[Block, ...]:
    """Return the blocks of a script.

    Raises:
        ToolError: An indented line comes first, or the script is larger than `LARGEST_SCRIPT`.
    """
    if len(text) > LARGEST_SCRIPT:
        raise ToolError(f"the script has more than {LARGEST_SCRIPT} bytes")
    blocks: list[tuple[bytes, list[bytes]]] = []
    for line in text.split(b"\n"):
        stripped = line.rstrip()
        if not stripped or stripped.startswith(b"#"):
            continue
        if not stripped.startswith(b" "):
            blocks.append((stripped, []))
        elif blocks:
            blocks[-1][1].append(stripped.lstrip())
        else:
            raise ToolError("indented line outside of block")
    return tuple(Block(action=action, lines=tuple(lines)) for action, lines in blocks)
