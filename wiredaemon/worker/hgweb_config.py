"""A program that reads a configuration of hgwebdir: ``python -m wiredaemon.worker.hgweb_config``.

It prints the entries as JSON. It is a program because the daemon never imports Mercurial into its
own process.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def read_entries(file: Path) -> list[tuple[str, str, str, str]]:
    """Return section, name, value and place of each entry; paths are first, one entry for each.

    Files that it includes are read as well. Bytes that are no UTF-8 become surrogates.

    Raises:
        SystemExit: The file cannot be read; the text is Mercurial's own.
    """
    from mercurial import initialization  # noqa: PLC0415  for a program, not for importers

    initialization.init()
    from mercurial import config, error  # noqa: PLC0415  after the call above
    from mercurial.utils import stringutil  # noqa: PLC0415  the same

    read = config.config()
    try:
        read.read(os.fsencode(file))
    except (OSError, error.Error) as refusal:
        text = refusal.format() if isinstance(refusal, error.Error) else str(refusal).encode()
        raise SystemExit(text.decode("utf-8", "replace").strip()) from None
    sections = sorted(read.sections(), key=lambda section: section != b"paths")
    return [
        (_text(section), _text(name), _text(one), _text(read.source(section, name)))
        for section in sections
        for name, value in read.items(section)
        # As hgwebdir reads it: several folders at one path.
        for one in (stringutil.parselist(value) if section == b"paths" else [value])
    ]


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "surrogateescape")


if __name__ == "__main__":
    json.dump(read_entries(Path(sys.argv[1])), sys.stdout)
