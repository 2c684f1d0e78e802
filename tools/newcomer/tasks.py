"""The tasks of a newcomer, each with the pages that it is done from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tools.newcomer.wheels import ROOT

DOCUMENTS: Final = ROOT / "docs"

FIRST: Final = "quickstart.md"
"""The page that installs: its environment is that of all other tasks, as they say."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task of a newcomer, and the pages that say how to do it."""

    name: str
    goal: str
    pages: tuple[str, ...]


TASKS: Final = (
    Task(name="quickstart", goal="install, and call a command of one's own", pages=(FIRST,)),
    Task(name="kinds", goal="write a command of each kind", pages=("guides/commands.md",)),
    Task(name="clients", goal="call from three kinds of programs", pages=("guides/clients.md",)),
    Task(name="streaming", goal="stream both ways", pages=("guides/streaming.md",)),
    Task(name="uploads", goal="upload a file with progress", pages=("guides/uploads.md",)),
    Task(name="cancellation", goal="stop commands", pages=("guides/cancellation.md",)),
    Task(name="deadlines", goal="give calls a deadline", pages=("guides/deadlines.md",)),
    Task(name="embedding", goal="put commands into a site", pages=("guides/embedding.md",)),
    Task(name="testing", goal="test commands with pytest", pages=("guides/testing.md",)),
    Task(name="hosting", goal="host, clone, push with a password", pages=("guides/hosting.md",)),
    Task(name="rights", goal="give rights to a group", pages=("guides/rights.md",)),
    Task(name="tools", goal="list, describe, call, measure", pages=("tools.md",)),
    Task(name="json", goal="call with curl, and stream", pages=("json.md",)),
    Task(name="mending", goal="mend a configuration", pages=("guides/mending.md",)),
)
