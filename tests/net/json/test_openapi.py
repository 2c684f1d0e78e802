from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from openapi_spec_validator import validate
from support.responding import make_command
from support.web import OPEN, settings_of

from wiredaemon import __version__
from wiredaemon.commands import Argument, ArgumentType, Command, Peer, Permission
from wiredaemon.commands.capabilities import RepositoryFacts
from wiredaemon.commands.registry import Registry, marked_commands
from wiredaemon.net.hosting.access import AccessRules
from wiredaemon.net.hosting.host import Settings
from wiredaemon.net.json.openapi import Logins, openapi_document
from wiredaemon.repository import data_declarations, declarations

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_T = ArgumentType
PEER: Final = Peer(address="10.0.0.1:9")
TIMEOUT: Final = {"$ref": "#/components/parameters/Timeout"}


def greet(context: Any, **given: object) -> str:  # noqa: ARG001 they are only declared
    """Greet somebody.

    By name.
    """
    return ""


def events(context: Any) -> Iterator[int]:  # noqa: ARG001 as above
    yield 1


def upload(context: Any, **given: object) -> None:
    pass


def write(context: Any) -> None:
    pass


COMMANDS: Final = [
    make_command(
        greet,
        arguments={
            "name": Argument(type=_T.TEXT, example="world"),
            "times": Argument(type=_T.INT, default=1),
        },
    ),
    make_command(events),
    make_command(
        upload, has_data=True, arguments={"names": Argument(type=_T.LIST, elements=_T.TEXT)}
    ),
    Command(name="write it", permission=Permission.RW, function=write),
    make_command(lambda context: None, exposed=False),  # noqa: ARG005 as above
]


def document_of(
    settings: Settings | None = None, peer: Peer = PEER, logins: Logins | None = None
) -> dict[str, Any]:
    made = openapi_document(
        Registry(COMMANDS), settings or settings_of(), peer, url="/json", logins=logins or Logins()
    )
    validate(made)
    return made


def test_the_document_has_the_commands_that_can_be_called() -> None:
    document = document_of()
    assert document["openapi"] == "3.1.0"
    assert document["info"]["version"] == __version__
    assert document["servers"] == [{"url": "/json"}]
    methods = {path: set(operations) for path, operations in document["paths"].items()}
    assert methods == {
        "/greet": {"get", "post"},
        "/events": {"get", "post"},
        "/upload": {"post"},
        "/write%20it": {"post"},
    }


def test_a_command_has_its_help_its_arguments_and_its_answers() -> None:
    greeting = document_of()["paths"]["/greet"]
    get, post = greeting["get"], greeting["post"]
    assert (get["operationId"], post["operationId"]) == ("greet.get", "greet.post")
    assert get["summary"] == post["summary"] == "Greet somebody."
    assert get["description"] == "Greet somebody.\n\nBy name."
    integer = {"type": "integer", "minimum": -(1 << 64), "maximum": (1 << 64) - 1, "default": 1}
    assert get["parameters"] == [
        TIMEOUT,
        {
            "name": "name",
            "in": "query",
            "required": True,
            "schema": {"type": "string"},
            "example": "world",
        },
        {"name": "times", "in": "query", "required": False, "schema": integer},
    ]
    assert post["parameters"] == [TIMEOUT]
    assert post["requestBody"] == {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {"name": {"type": "string"}, "times": integer},
                    "required": ["name"],
                    "additionalProperties": False,
                },
                "example": {"name": "world"},
            }
        },
    }
    assert set(post["responses"]) == {"200", "default"}
    assert set(post["responses"]["200"]["content"]) == {
        "application/json",
        "application/x-ndjson",
        "text/event-stream",
    }


def test_a_generator_answers_with_an_array() -> None:
    paths = document_of()["paths"]
    result = {"$ref": "#/components/schemas/Result"}

    def schema_of(path: str) -> Mapping[str, Any]:
        content = paths[path]["post"]["responses"]["200"]["content"]
        schema: Mapping[str, Any] = content["application/json"]["schema"]
        return schema

    assert schema_of("/events") == {"type": "array", "items": result}
    assert schema_of("/greet") == result


def test_command_data_is_the_body_and_its_arguments_are_in_the_query() -> None:
    post = document_of()["paths"]["/upload"]["post"]
    assert post["requestBody"]["content"] == {"application/octet-stream": {"schema": {}}}
    texts = {"type": "array", "items": {"type": "string"}}
    assert post["parameters"][1:] == [
        {
            "name": "names",
            "in": "query",
            "required": True,
            "content": {"application/json": {"schema": texts}},
        }
    ]


def test_only_what_the_client_may_call_is_there() -> None:
    settings = settings_of(access=AccessRules(allow_push=("ann",)))
    assert "/write%20it" not in document_of(settings)["paths"]
    ann = Peer(address="", user="ann", is_secure=True)
    assert "/write%20it" in document_of(settings, ann)["paths"]


def test_logins_are_told_with_what_needs_none() -> None:
    logins = Logins(passwords=True, tokens=True)
    rules = AccessRules(push_ssl=False, allow_push=("ann",))
    ann = Peer(address="", user="ann", is_secure=True)
    document = document_of(settings_of(access=rules), ann, logins)
    assert document["components"]["securitySchemes"] == {
        "password": {"type": "http", "scheme": "basic"},
        "token": {"type": "http", "scheme": "bearer"},
    }
    paths = document["paths"]
    assert paths["/greet"]["get"]["security"] == [{}, {"password": []}, {"token": []}]
    assert paths["/write%20it"]["post"]["security"] == [{"password": []}, {"token": []}]
    assert "security" not in document_of()["paths"]["/greet"]["get"]


def test_the_commands_of_repositories_are_described_and_those_that_a_repository_lacks_are_not() -> (
    None
):

    registry = Registry([*marked_commands(declarations), *marked_commands(data_declarations)])
    without = openapi_document(registry, settings_of(), PEER, url="/json", logins=Logins())
    validate(without)
    facts = RepositoryFacts(stream_allowed=True)
    settings = Settings(switches=settings_of().switches, access=OPEN, facts=facts)
    full = openapi_document(registry, settings, PEER, url="/json", logins=Logins())
    assert full["paths"].keys() - without["paths"].keys() == {"/rawstorefiledata"}
    data = full["paths"]["/changesetdata"]["post"]["responses"]["200"]["content"]
    assert data["application/json"]["schema"]["type"] == "array"
