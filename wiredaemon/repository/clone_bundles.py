"""The words about a bundle between the worker that makes it and the daemon that keeps it.

Both sides import this: the worker makes it in ``worker.clone_bundles``, the daemon keeps it along
with the bundle in ``net.cache``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from wiredaemon.commands import ServerError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wiredaemon.wire.values import Value

CLONE_BUNDLE: Final = b"clone_bundle"
"""Private stream command: makes a bundle, ``spec`` says which."""
BUNDLE_STATES: Final = b"bundle_states"
"""Private value command: says which bundles hold nothing but what is served."""
ATTEMPT_COUNTS: Final = b" attempt counts"
"""The end of ``clones`` of a description where answers depend on whether a client has asked for
bundles before: those that have not are refused."""
STREAM_MARK: Final = b";stream="
"""The part of a kind that only copies of a store have."""


class StreamsFirst(Enum):
    """The clients that are to take a copy of the store though they have asked for none."""

    NEAR = b"near"
    """Those to which bytes are cheap."""
    YES = b"yes"
    NO = b"no"


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleFacts:
    """The content of a bundle, so far as it decides for how long the bundle is good."""

    repository: bytes
    """Path of the working folder."""
    spec: bytes
    """Its kind, as ``BUNDLESPEC`` in a manifest has it before it is quoted."""
    described: bytes
    """``clones`` of the repository's description when it was made."""
    made: int
    """Seconds since 1970."""
    heads: Sequence[bytes]
    """The nodes of its heads."""
    changesets: int
    revisions: int
    """Changesets that the repository had then, served or not."""
    files: bytes
    """A digest of where the repository's files were then."""

    def encode(self) -> Mapping[bytes, Value]:
        """Return the facts as a map."""
        return {
            b"repository": self.repository,
            b"spec": self.spec,
            b"described": self.described,
            b"made": self.made,
            b"heads": self.heads,
            b"changesets": self.changesets,
            b"revisions": self.revisions,
            b"files": self.files,
        }

    @classmethod
    def parse(cls, written: object) -> BundleFacts:
        """Read a map of them.

        Raises:
            ServerError: It is not what ``encode`` returns.
        """
        match written:
            case {
                b"repository": bytes() as repository,
                b"spec": bytes() as spec,
                b"described": bytes() as described,
                b"made": int() as made,
                b"heads": list() as heads,
                b"changesets": int() as changesets,
                b"revisions": int() as revisions,
                b"files": bytes() as files,
            }:
                return cls(
                    repository=repository,
                    spec=spec,
                    described=described,
                    made=made,
                    heads=heads,
                    changesets=changesets,
                    revisions=revisions,
                    files=files,
                )
            case _:
                raise ServerError("the repository worker gave no proper bundle")


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleStates:
    """Which bundles are good, and what else a manifest needs."""

    good: Sequence[bool]
    changesets: int
    """Changesets that are served."""
    manifest: bytes
    """The entries that a person has written."""
    older: bytes
    """Those of them that clients of older releases understand."""

    @classmethod
    def parse(cls, result: object) -> BundleStates:
        """Read what the worker returns.

        Raises:
            ServerError: It is not that.
        """
        match result:
            case {
                b"good": list() as good,
                b"changesets": int() as changesets,
                b"manifest": bytes() as manifest,
                b"older": bytes() as older,
            }:
                return cls(good=good, changesets=changesets, manifest=manifest, older=older)
            case _:
                raise ServerError("the repository worker gave no proper states of bundles")
