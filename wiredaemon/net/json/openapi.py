"""The OpenAPI document of the commands that one client may call, made of the registry.

Source: docs/json.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from wiredaemon import __version__
from wiredaemon.commands import Peer
from wiredaemon.commands.argument_types import CONTAINERS
from wiredaemon.commands.arguments import REQUIRED
from wiredaemon.net.hosting.access import authorize
from wiredaemon.net.json.forms import DOCUMENT, EVENTS, LINES
from wiredaemon.net.json.problems import PROBLEM
from wiredaemon.net.json.rules import ARGUMENTS, DATA, DIALECT, LONGEST, TIMEOUT, may_get
from wiredaemon.net.json.schemas import SCHEMAS, argument_schema, example_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wiredaemon.commands import Command
    from wiredaemon.commands.registry import Registry
    from wiredaemon.net.hosting.host import Settings

Part = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Logins:
    """The ways to log in that a server has."""

    passwords: bool = False
    tokens: bool = False


def openapi_document(
    registry: Registry, settings: Settings, peer: Peer, *, url: str, logins: Logins
) -> Part:
    """Return the document.

    Args:
        registry: All commands.
        settings: Those of the host, which say who may call what.
        peer: The client.
        url: The URL or path to which names of commands are appended, without a slash at its end.
        logins: The ways to log in.
    """
    commands = [
        command
        for command in registry.exposed(DIALECT)
        if authorize(settings.access, command.permission, peer) is None
        and (settings.facts.stream_allowed or not command.needs_stream)
    ]
    components: Part = {
        "schemas": dict(SCHEMAS),
        "parameters": {"Timeout": _TIMEOUT},
        "responses": {"Problem": _PROBLEM},
    }
    schemes = _schemes(logins)
    if schemes:
        components["securitySchemes"] = schemes
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Commands",
            "version": __version__,
            "description": "Each command is called by a POST, many also by a GET.",
        },
        "servers": [{"url": url}],
        "paths": {
            f"/{quote(command.name)}": _path(
                command.with_help(), _security(command, settings, schemes)
            )
            for command in commands
        },
        "components": components,
    }


# --- logins ----------------------------------------------------------------------------------


def _schemes(logins: Logins) -> Part:
    schemes: Part = {}
    if logins.passwords:
        schemes["password"] = {"type": "http", "scheme": "basic"}
    if logins.tokens:
        schemes["token"] = {"type": "http", "scheme": "bearer"}
    return schemes


def _security(
    command: Command, settings: Settings, schemes: Mapping[str, object]
) -> list[Mapping[str, list[str]]]:
    """Return the ways to be allowed to call a command; an empty one for no login at all."""
    if not schemes:
        return []
    nobody = Peer(address="", is_secure=True)
    is_open = authorize(settings.access, command.permission, nobody) is None
    return [*([{}] if is_open else []), *({scheme: []} for scheme in schemes)]


# --- commands --------------------------------------------------------------------------------


def _path(command: Command, security: list[Mapping[str, list[str]]]) -> Part:
    operations: Part = {}
    if may_get(command):
        operations["get"] = {"parameters": _parameters(command)}
    body: Part = {"required": True, "content": _content(command)}
    in_query = _parameters(command) if command.has_data else [_TIMEOUT_REFERENCE]
    operations["post"] = {"parameters": in_query, "requestBody": body}
    for method, operation in operations.items():
        operation |= {
            "operationId": f"{command.name}.{method}",
            **_help(command),
            "responses": _responses(command),
        }
        if security:
            operation["security"] = security
    return operations


def _help(command: Command) -> Part:
    text = command.details.get(b"help")
    if not isinstance(text, (str, bytes)) or not text:
        return {}
    shown = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return {"summary": shown.partition("\n")[0], "description": shown}


def _parameters(command: Command) -> list[Part]:
    """Return the arguments as they are in a query; lists, sets and maps are JSON there."""
    parameters: list[Part] = [_TIMEOUT_REFERENCE]
    for name, argument in command.arguments.items():
        parameter: Part = {"name": name, "in": "query", "required": argument.is_required}
        if argument.type in CONTAINERS:
            schema = argument_schema(argument)
            parameter["content"] = {DOCUMENT.decode(): {"schema": schema}}
        else:
            parameter["schema"] = argument_schema(argument, is_text=True)
            example = example_of(argument)
            # A query has bytes as they are, and a description has no string for such.
            if example is not REQUIRED and not isinstance(example, dict):
                parameter["example"] = example
        parameters.append(parameter)
    return parameters


def _content(command: Command) -> Part:
    """Return the body of a POST by its media type."""
    if command.has_data:
        return {DATA.decode(): {"schema": {}}}
    arguments = command.arguments
    schema: Part = {
        "type": "object",
        "properties": {name: argument_schema(each) for name, each in arguments.items()},
        "additionalProperties": False,
    }
    required = [name for name, each in arguments.items() if each.is_required]
    if required:
        schema["required"] = required
    described: Part = {"schema": schema}
    examples = {name: example_of(each) for name, each in arguments.items()}
    example = {name: value for name, value in examples.items() if value is not REQUIRED}
    # One that lacks a required argument would be none.
    if example and example.keys() >= set(required):
        described["example"] = example
    return {ARGUMENTS.decode(): described}


# --- answers ---------------------------------------------------------------------------------


def _responses(command: Command) -> Part:
    result: Part = {"$ref": "#/components/schemas/Result"}
    document = {"type": "array", "items": result} if command.gives_objects else result
    said = "The objects of the answer." if command.gives_objects else "The answer."
    content = {
        DOCUMENT.decode(): {"schema": document},
        LINES.decode(): {"schema": {"type": "string"}},
        EVENTS.decode(): {"schema": {"type": "string"}},
    }
    problem: Part = {"$ref": "#/components/responses/Problem"}
    return {"200": {"description": said, "content": content}, "default": problem}


_PROBLEM: Final[Part] = {
    "description": "The call was refused, or the command has failed.",
    "content": {PROBLEM.decode(): {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
_TIMEOUT: Final[Part] = {
    "name": TIMEOUT.decode(),
    "in": "header",
    "description": "Seconds after which the command is stopped.",
    "schema": {"type": "number", "minimum": 0.001, "maximum": LONGEST},
    "example": 2.5,
}
_TIMEOUT_REFERENCE: Final[Part] = {"$ref": "#/components/parameters/Timeout"}
