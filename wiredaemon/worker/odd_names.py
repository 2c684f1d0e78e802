"""Names of files that are not ASCII, or not even UTF-8, in what Mercurial's web application sends.

File systems and manifests have bytes; headers, archives and JSON want text. Each patch says what
the original does, observed with 7.2.4.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from wiredaemon.worker.library import archival, encoding, error, pycompat, templatefilters

if TYPE_CHECKING:
    from collections.abc import Callable

_FILE_NAME: Final = re.compile(rb'\bfilename="?((?:\\.|[^"\\])*)"?', re.DOTALL)
_ESCAPED: Final = re.compile(rb"\\(.)", re.DOTALL)
_NOT_PLAIN: Final = re.compile(r"[^ -~]")


def readable(name: bytes) -> str:
    """Return the text of a name: of UTF-8, or else of the encoding of old changesets.

    A control character or a byte that has no meaning there stays one character of its own.
    """
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        return name.decode(pycompat.sysstr(encoding.fallbackencoding), "replace")


def disposition(name: bytes, value: bytes) -> bytes:
    """Return the value of a header; a file's name in it is ASCII, with the text after it.

    Source: RFC 6266, section 4.3; RFC 8187.

    Args:
        name: The name of the header; any but ``Content-Disposition`` keep their values.
        value: Its value as Mercurial made it, with the bytes of a file's name.
    """
    if name.lower() != b"content-disposition" or value.isascii():
        return value
    found = _FILE_NAME.search(value)
    if found is None:
        return value.decode("ascii", "replace").encode("ascii", "replace")
    text = readable(_ESCAPED.sub(rb"\1", found[1]))
    plain = _NOT_PLAIN.sub("_", text).replace("\\", "\\\\").replace('"', '\\"')
    named = f"filename=\"{plain}\"; filename*=UTF-8''{quote(text, safe='')}"
    return value[: found.start()] + named.encode("ascii") + value[found.end() :]


def patch_names() -> None:
    """Apply the patches; a second time changes nothing."""
    if hasattr(pycompat.strurl, "__wrapped__"):
        return
    pycompat.strurl = _of_any_bytes(pycompat.strurl)
    archival.zipit.addfile = _as_text(archival.zipit.addfile)
    templatefilters.filters[b"utf8"] = _of_any_text(templatefilters.filters[b"utf8"])


def _of_any_bytes(original: Callable[[Any], str]) -> Callable[[Any], str]:
    """Return the text of a header for WSGI, whose characters are bytes (PEP 3333).

    The original fails for all but ASCII, and with it each raw file whose name is not.
    """

    @functools.wraps(original)
    def strurl(value: Any) -> str:  # noqa: ANN401 of the library
        return value.decode("latin-1") if isinstance(value, bytes) else original(value)

    return strurl


def _as_text(original: Callable[..., None]) -> Callable[..., None]:
    """Add a file to a ZIP archive, which has names in UTF-8.

    The original fails for a name of other bytes, after the head of the answer.
    """

    @functools.wraps(original)
    def addfile(archive: Any, name: bytes, *arguments: Any, **more: Any) -> None:  # noqa: ANN401 of the library
        original(archive, readable(name).encode("utf-8"), *arguments, **more)

    return addfile


def _of_any_text(original: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Return text in UTF-8 for a template; the original fails for what is not text."""

    @functools.wraps(original)
    def utf8(text: bytes) -> bytes:
        try:
            return original(text)
        except error.Abort:
            return readable(text).encode("utf-8")

    return utf8
