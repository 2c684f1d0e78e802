"""The ``capabilities`` command and the API descriptors, in each era's exact shape.

Source: commands, sections 1, 2.1 and 4.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from wiredaemon.commands.argument_types import carried
from wiredaemon.commands.declaration import TextForm, command
from wiredaemon.commands.permission import Permission
from wiredaemon.wire.dialects import ResponseForm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wiredaemon.commands.arguments import Argument
    from wiredaemon.commands.context import Context
    from wiredaemon.commands.declaration import Command
    from wiredaemon.commands.registry import Registry
    from wiredaemon.wire.dialects import Dialect
    from wiredaemon.wire.values import Value

# Mercurial's own two, of many kinds of patterns: those that need no regular expression (commands,
# section 4.12).
_PATH_FILTER_PREFIXES: Final = frozenset({b"path:", b"rootfilesin:"})


# Those of Mercurial, in its order (framing, section 5.3).
REDIRECT_HASHES: Final = (b"sha256", b"sha1")
"""The hashes of redirected content that are computed, the most preferred first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedirectTarget:
    """A server that clients may be redirected to."""

    name: bytes
    protocol: bytes
    """``http`` or ``https``; Mercurial's clients know no other."""
    uris: Sequence[bytes]
    """The URLs below which its objects are."""
    sni_required: bool | None = None
    """Whether clients need SNI; None leaves it out of descriptors."""
    tls_versions: Sequence[bytes] = ()
    """Versions from ``1.0`` to ``1.3``; empty leaves them out of descriptors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryFacts:
    """The facts about a repository that descriptors show; the defaults stand for no repository."""

    version1: bytes = b""
    """The version 1 capability string."""
    reduced: bytes = b""
    """The capability string of dialect 0002: without what only version 1 has."""
    compression: Sequence[bytes] = ()
    """Version 1 compression engines in order of preference."""
    requirements: Sequence[bytes] = ()
    stream_allowed: bool = False
    """Raw store access is on and no changeset is secret."""
    redirect_targets: Sequence[RedirectTarget] = ()
    """The servers that clients of 0006 may be redirected to."""


def describe_api(
    registry: Registry, dialect: Dialect, framings: Sequence[Dialect], facts: RepositoryFacts
) -> Value:
    """Return the result of ``capabilities``.

    Args:
        registry: The commands to describe.
        dialect: The dialect whose shape the result has.
        framings: All framings that the API serves, in order.
        facts: The repository's facts.
    """
    if dialect.response is ResponseForm.TEXT:
        # 0002 has no descriptor: its capabilities are version 1's string (commands, section 1).
        return facts.reduced
    media_types = [framing.media_type for framing in framings]
    commands = [
        known
        for known in registry.exposed(dialect)
        # Clients take a command that is listed for one that they may call (commands, section 4.3).
        if facts.stream_allowed or not known.needs_stream
    ]
    if dialect.response is not ResponseForm.OBJECTS:
        return _describe_by_example(commands, media_types, facts)
    described: dict[bytes, Value] = {
        b"commands": {known.name.encode(): _describe_command(known) for known in commands},
        b"framingmediatypes": media_types,
        b"pathfilterprefixes": _PATH_FILTER_PREFIXES,
        b"rawrepoformats": sorted(facts.requirements),
    }
    # A key with no targets would make every client send `redirect` with every request (framing,
    # section 5.3).
    if facts.redirect_targets:
        described[b"redirect"] = {
            b"targets": [_describe_target(target) for target in facts.redirect_targets],
            b"hashes": list(REDIRECT_HASHES),
        }
    return described


def _describe_target(target: RedirectTarget) -> Value:
    described: dict[bytes, Value] = {
        b"name": target.name,
        b"protocol": target.protocol,
        b"uris": list(target.uris),
    }
    # Both keys are optional: what the operator has not said is not claimed (commands, section 4.3).
    if target.sni_required is not None:
        described[b"snirequired"] = target.sni_required
    if target.tls_versions:
        described[b"tlsversions"] = list(target.tls_versions)
    return described


def _describe_by_example(
    commands: Sequence[Command], media_types: Sequence[bytes], facts: RepositoryFacts
) -> Value:
    """Describe commands as 0003 to 0005 do: an example for each argument."""
    described: dict[bytes, Value] = {
        b"commands": {
            known.name.encode(): {
                b"args": {
                    name.encode(): _shown(argument.example, has_sets=False)
                    for name, argument in known.arguments.items()
                },
                b"permissions": [known.permission.description],
            }
            for known in commands
        },
        b"compression": [{b"name": engine} for engine in facts.compression],
        b"framingmediatypes": media_types,
    }
    # 0006 has the key always, these only here (commands, sections 2.1 and 4.3).
    if facts.stream_allowed:
        described[b"rawrepoformats"] = sorted(facts.requirements)
    return described


def _describe_command(known: Command) -> Value:
    described: dict[bytes, Value] = {
        b"args": {
            name.encode(): _describe_argument(argument)
            for name, argument in known.arguments.items()
        },
        b"permissions": [known.permission.description],
        **{key: _shown(value) for key, value in known.details.items()},
    }
    return described


def _describe_argument(argument: Argument) -> Value:
    described: dict[bytes, Any] = {
        b"required": argument.is_required,
        b"type": argument.type.value.encode(),
    }
    # Present exactly when it is not required, also where the default is null (commands, section
    # 4.3).
    if not argument.is_required:
        described[b"default"] = _shown(argument.default)
    # Beyond the protocol's keys, and there only where a command says it.
    if argument.elements is not None:
        described[b"elements"] = argument.elements.value.encode()
    if argument.valid_values:
        described[b"validvalues"] = _shown(argument.valid_values)
    return described


def _shown(value: Any, *, has_sets: bool = True) -> Any:  # noqa: ANN401 any value on the wire
    """Return a value as a description has it: some sets are sorted arrays there.

    All of them where a dialect has none; and those of numbers, which clients may refuse in an item
    as large as the description of many commands (`wiredaemon.wire.cbor`).
    """
    match carried(value):
        case list(elements):
            return [_shown(element, has_sets=has_sets) for element in elements]
        case dict(entries):
            return {key: _shown(entry, has_sets=has_sets) for key, entry in entries.items()}
        case frozenset(elements) if not (
            has_sets and all(isinstance(element, bytes | str) for element in elements)
        ):
            return sorted(elements)
        case plain:
            return plain


@command("capabilities", permission=Permission.RO, text=TextForm(result=bytes))
async def capabilities(context: Context) -> Value:
    """Return the descriptor of the API."""
    return await context.describe()
