"""Small changes to what autodoc reads in the code, so that the API in the site is easy to read."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_ATTRIBUTES: Final = frozenset({"attribute", "data", "property"})
_TYPE: Final = ":type: "
_GENERATED: Final = "(*args, **kwargs)"
"""The arguments of a class that nobody calls, a `typing.Protocol`."""
_BEHIND_NAPOLEON: Final = 600


def signature(of: object, arguments: str | None) -> str | None:
    """Return the arguments of a call as they are written; None where a thing has none."""
    if arguments is None:
        return None
    if arguments == _GENERATED or (isinstance(of, type) and issubclass(of, Enum)):
        return ""
    return arguments.replace("<factory>", "...").replace("_Required.REQUIRED", "REQUIRED")


def restore_sentence(kind: str, lines: list[str]) -> None:
    """Put the beginning of an attribute's docstring back to where it was.

    Of ``The server keeps a session: calls are cancelled.`` napoleon makes a description and a type,
    which is what stands in front of the colon.
    """
    at = next((at for at, line in enumerate(lines) if line.startswith(_TYPE)), None)
    if kind in _ATTRIBUTES and at is not None:
        lines[0] = f"{lines[at].removeprefix(_TYPE)}: {lines[0]}"
        del lines[at]


def connect(app: Sphinx) -> None:
    """Have Sphinx make these changes."""
    app.connect(
        "autodoc-process-docstring",
        lambda _app, kind, _name, _of, _options, lines: restore_sentence(kind, lines),
        priority=_BEHIND_NAPOLEON,
    )
    app.connect(
        "autodoc-process-signature",
        lambda _app, _kind, _name, of, _options, arguments, result: (
            signature(of, arguments),
            result,
        ),
    )
