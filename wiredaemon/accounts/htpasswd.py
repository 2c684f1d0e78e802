"""The htpasswd file: a line ``name:hash`` for each user, all hashes made by bcrypt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wiredaemon.accounts.bcrypt_hashes import DECOY, hash_problem, other_kind
from wiredaemon.accounts.files import AccountsFileError, lines_of
from wiredaemon.accounts.names import name_problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_HOW: Final = "make it with `wiredaemon user passwd` or `htpasswd -B`"


class Htpasswd:
    """The hashes of all users' passwords.

    Args:
        hashes: The bcrypt hash of each user's password.
    """

    def __init__(self, hashes: Mapping[str, str]) -> None:
        self._hashes = hashes
        self._decoys = tuple(hashes.values()) or (DECOY,)

    def __contains__(self, name: str) -> bool:
        """Return whether there is a user of this name."""
        return name in self._hashes

    def __iter__(self) -> Iterator[str]:
        """Return the names of all users, in the order of the file."""
        return iter(self._hashes)

    def find(self, name: str, number: int) -> tuple[bool, str]:
        """Return whether there is a user of this name, and the hash to compare a password with.

        Args:
            name: The name.
            number: Chooses one of all users' hashes where this name has none, so that an unknown
                user takes as long as known ones; it should depend on nothing but the name.
        """
        decoy = self._decoys[number % len(self._decoys)]
        return name in self._hashes, self._hashes.get(name, decoy)


def parse_htpasswd(file: Path, text: str, *, accepts_other_kinds: bool = False) -> Htpasswd:
    """Return the users of a file.

    Args:
        file: The file's name, for errors.
        text: The file's text.
        accepts_other_kinds: Hashes that are not made by bcrypt are let pass: to replace them.

    Raises:
        AccountsFileError: A line is wrong; it is named.
    """
    hashes: dict[str, str] = {}
    for number, line in lines_of(text):
        name, colon, hashed = line.partition(":")
        problem = name_problem(name) if colon else "a line is NAME:HASH"
        # Programs differ in which of two lines counts: who may log in must not depend on it.
        if problem is None and name in hashes:
            problem = f"{name} is there twice"
        wrong = hash_problem(hashed)
        if problem is None and wrong and not (accepts_other_kinds and other_kind(hashed)):
            problem = f"the password of {name} cannot be used: {wrong}; {_HOW}"
        if problem is not None:
            raise AccountsFileError(file, problem, number)
        hashes[name] = hashed
    return Htpasswd(hashes)
