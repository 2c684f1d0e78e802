"""The files under ``conf/``, which the wheel carries inside the package.

In a checkout, and in an editable installation of it, they stand beside the package.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

CONFIGURATION: Final = "wiredaemon.toml"
"""The configuration that documents every key."""
EXAMPLE_COMMANDS: Final = "examples/dummycommands.py"
"""The smallest commands that work."""


def shipped(name: str) -> str:
    """Return the text of one of these files.

    Raises:
        FileNotFoundError: the installation is not complete.
    """
    package = Path(__file__).parents[1]
    inside = package / "conf" / name
    return (inside if inside.is_file() else package.parent / "conf" / name).read_text("utf-8")
