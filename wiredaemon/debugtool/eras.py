"""The table of eras: what Mercurial's own tool printed and sent at the time of each dialect.

Source: client-tool, sections 1 and 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from wiredaemon.wire.dialects import DIALECTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wiredaemon.wire.dialects import Dialect


@dataclass(frozen=True, slots=True, kw_only=True)
class Era:
    """The habits of the tool at the time of one dialect."""

    dialect: Dialect
    """The framing of frame strings and of the version 2 peer."""
    api: bytes | None
    """The API that the version 2 peer asks for; None where there was no such peer."""
    user_agent: bytes = b"Mercurial debugwireproto"
    named_escapes: bool = True
    r"""TAB and ``'`` are shown as ``\t`` and ``\'``, not as they are."""
    shows_setsockopt: bool = False
    shows_empty_payload: bool = False
    """A frame without payload has an empty line for it."""
    frames_when_verbose: bool = True
    """Received frames are described with ``--verbose``, not only with ``--debug``."""
    decodes: bool = False
    """Results are what the command is known to return, over lines, not all objects in one line."""
    ends_with_sums: bool = False
    """A verbose run ends with the numbers of requests and bytes."""


_OLD_API: Final = b"exp-http-v2-0001"

ERAS: Final[Mapping[str, Era]] = MappingProxyType(
    {
        "0002": Era(
            dialect=DIALECTS["0002"],
            api=None,
            # Mercurial's had its version after this, which is not ours to claim.
            user_agent=b"mercurial/proto-1.0",
            named_escapes=False,
        ),
        **{name: Era(dialect=DIALECTS[name], api=_OLD_API) for name in ("0003", "0004", "0005")},
        "0006": Era(
            dialect=DIALECTS["0006"],
            api=b"exp-http-v2-0003",
            shows_setsockopt=True,
            shows_empty_payload=True,
            frames_when_verbose=False,
            decodes=True,
            ends_with_sums=True,
        ),
    }
)
"""Each era by the four digits of its dialect."""

NEWEST: Final = "0006"
