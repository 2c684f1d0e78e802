"""Reading one TOML table key by key, with errors that a person can act on.

Owns the types of values and the form of the error. ``config_file`` knows the tables and keys.
Values are checked, not converted: ``"false"`` is no boolean, ``true`` no number, a string no list.
"""

from __future__ import annotations

import difflib
import os
import re
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# A line of a terminal.
_SHOWN: Final = 80
"""The most characters of a wrong value that an error repeats."""


class ConfigurationError(Exception):
    """The configuration cannot be used; nothing was opened or changed.

    Attributes:
        file: The configuration file, or None for the embedded default.
        key: The key's dotted name, e.g. ``listen.http``; empty for the file as a whole.
        problem: The mistake, in words that follow the key.
        accepted: The values that would be right, in words.
    """

    def __init__(self, file: Path | None, key: str, problem: str, accepted: str) -> None:
        self.file = file
        self.key = key
        self.problem = problem
        self.accepted = accepted
        where = "embedded default" if file is None else str(file)
        subject = f"{where}: {key}" if key else where
        super().__init__(f"{subject}: {problem} (accepted: {accepted})")


class Table:
    """A TOML table whose keys are all known.

    Args:
        file: The file that the table stands in, for errors.
        name: The table's dotted name; empty for the top of the file.
        values: The result of the TOML parser.
        keys: The keys that are accepted; None accepts any.

    Raises:
        ConfigurationError: ``values`` is no table, or holds a key that is not accepted.
    """

    def __init__(
        self, file: Path, name: str, values: object, keys: Iterable[str] | None = None
    ) -> None:
        self.file = file
        self._name = name
        if not isinstance(values, dict):
            raise ConfigurationError(file, name, f"{_shown(values)} is not a table", f"[{name}]")
        self.values: Mapping[str, object] = values
        if keys is None:
            return
        # A misspelt key would leave its default in force, which may allow more than was meant.
        known = list(keys)
        for key in self.values:
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                problem = f"unknown key; is it {near[0]}?" if near else "unknown key"
                raise self.error(key, problem, ", ".join(known) or "no keys in this version")

    def error(self, key: str, problem: str, accepted: str) -> ConfigurationError:
        """Return the error for one key of this table."""
        dotted = f"{self._name}.{key}" if self._name else key
        return ConfigurationError(self.file, dotted, problem, accepted)

    def wrong(self, key: str, accepted: str) -> ConfigurationError:
        """Return the error for a key whose value is not of the accepted kind."""
        return self.error(key, f"{_shown(self.values[key])} is not accepted", accepted)

    def table(self, key: str, keys: Iterable[str] | None = None) -> Table:
        """Return the table under ``key``; an empty one if it is absent."""
        name = f"{self._name}.{key}" if self._name else key
        return Table(self.file, name, self.values.get(key, {}), keys)

    def boolean(self, key: str, *, default: bool) -> bool:
        """Return the boolean under ``key``."""
        value = self.values.get(key, default)
        if isinstance(value, bool):
            return value
        raise self.wrong(key, "true or false")

    def number(self, key: str, default: float) -> float:
        """Return the number under ``key``: of the type of ``default``, finite and at least 0."""
        value = self.values.get(key, default)
        whole = isinstance(default, int)
        accepted = "a whole number, 0 or more" if whole else "a number, 0 or more"
        # TOML's booleans are Python's, which are integers too.
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            raise self.wrong(key, accepted)
        if not isfinite(value) or value < 0:
            raise self.wrong(key, accepted)
        # An integer for a limit in seconds is a float from here on, as its default is.
        return type(default)(value)

    def path(self, key: str, default: str) -> Path | None:
        """Return the path under ``key``, made absolute; None for an empty string."""
        value = self.values.get(key, default)
        if not isinstance(value, str):
            raise self.wrong(key, "a path, as a string")
        return self.resolve(value) if value else None

    def resolve(self, path: str) -> Path:
        """Return a path of the file as absolute: relative ones start at the file's folder."""
        # Not `Path.resolve`: that fails for links in a circle.
        return Path(os.path.realpath(self.file.parent / path))

    def strings(self, key: str, accepted: str) -> tuple[str, ...]:
        """Return the list of non-empty strings under ``key``; an empty one if it is absent."""
        value = self.values.get(key, [])
        if not isinstance(value, list):
            raise self.wrong(key, accepted)
        for item in value:
            if not isinstance(item, str) or not item:
                raise self.error(key, f"{_shown(item)} in the list is not accepted", accepted)
        return tuple(value)

    def words(self, key: str, accepted: str) -> tuple[str, ...]:
        """Return a list of strings; one string is split at commas or white space, as in hgrc."""
        value = self.values.get(key, [])
        if isinstance(value, str):
            return tuple(word for word in re.split(r"[,\s]+", value) if word)
        return self.strings(key, accepted)


def _shown(value: object) -> str:
    """Return a value as short text for people."""
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
