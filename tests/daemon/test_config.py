from __future__ import annotations

import tomllib
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from wiredaemon.accounts.config import AuthConfig
from wiredaemon.daemon.config import (
    LOOPBACK,
    Admin,
    Api,
    Commands,
    Config,
    Data,
    Framed,
    Listen,
    Log,
    Tls,
)
from wiredaemon.daemon.config_file import load_all, load_config
from wiredaemon.daemon.toml_table import ConfigurationError
from wiredaemon.net.hosting.access import AccessRules
from wiredaemon.net.hosting.collection import Collection
from wiredaemon.net.hosting.host_lookup import ListShape
from wiredaemon.wire.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT: Final = Path(__file__).resolve().parents[2]
SHIPPED: Final = ROOT / "conf" / "wiredaemon.toml"


@pytest.fixture
def load(tmp_path: Path) -> Callable[[str], Config]:
    """Loads a text as the file ``conf/test.toml`` of an empty folder."""

    def load(text: str) -> Config:
        file = tmp_path / "conf" / "test.toml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, "utf-8")
        return load_config(file)

    return load


def test_an_empty_file_gives_the_defaults(load: Callable[[str], Config], tmp_path: Path) -> None:
    assert load("") == Config(
        file=tmp_path / "conf" / "test.toml",
        data=Data(folder=tmp_path / "conf" / "data"),
        listen=Listen(
            http=("tcp:8000:interface=127.0.0.1",),
            https=("tcp:8443:interface=127.0.0.1",),
            framed=(Framed("tcp:8010:interface=127.0.0.1", "0006"),),
            framed_tls=(Framed("tcp:8011:interface=127.0.0.1", "0006"),),
        ),
        admin=Admin(listen=()),
        tls=Tls(certificate=None, private_key=None),
        api=Api(
            enabled=True,
            http_v2=True,
            debugreflect=False,
            framings={"exp-http-v2-0001": ("0003", "0005", "0002"), "exp-http-v2-0003": ("0006",)},
        ),
        web=AccessRules(
            push_ssl=True,
            allow_push=(),
            deny_push=(),
            allow_read=(),
            deny_read=(),
            allow_pull=True,
        ),
        paths={},
        commands=Commands(load=()),
        log=Log(requests=False),
        limits=Limits(),
        auth=AuthConfig(
            htpasswd=None, tokens=None, groups=None, certificate_user="cn", realm="wiredaemon"
        ),
    )


def test_every_key_is_read(load: Callable[[str], Config], tmp_path: Path) -> None:
    config = load(
        """
        [data]
        folder = "state"
        [listen]
        http = ["tcp:0:interface=127.0.0.1", "unix:/run/hg"]
        https = ["tcp:0"]
        framed = ["tcp:0:interface=127.0.0.1", "0003 unix:/run/hg framed"]
        framed_tls = ["0005  tcp:0"]
        [admin]
        listen = ["tcp:9310:interface=127.0.0.1", "unix:/run/admin"]
        [tls]
        certificate = "cert.pem"
        private_key = "/etc/key.pem"
        client_ca = ""
        [api]
        enabled = false
        http_v2 = false
        debugreflect = true
        [api.framings]
        "exp-http-v2-0001" = ["0002"]
        [web]
        push_ssl = false
        allow-push = ["*"]
        deny_push = ["eve"]
        allow_read = ["ann", "bob"]
        deny_read = ["mallory"]
        allow-pull = false
        descend = false
        collapse = true
        [paths]
        "/" = "../server"
        "/team/one.two" = "/srv/hg/one"
        [commands]
        load = ["package.module", "examples/dummycommands.py"]
        [log]
        requests = true
        [limits]
        frame_payload = 32768
        drain_seconds = 1
        [auth]
        htpasswd = "users.htpasswd"
        tokens = "/etc/tokens"
        groups = "groups"
        certificate_user = "san:email"
        realm = "our code"
        """
    )
    conf = tmp_path / "conf"
    assert config == Config(
        file=conf / "test.toml",
        data=Data(folder=conf / "state"),
        listen=Listen(
            http=("tcp:0:interface=127.0.0.1", "unix:/run/hg"),
            https=("tcp:0",),
            framed=(
                Framed("tcp:0:interface=127.0.0.1", "0006"),
                Framed("unix:/run/hg framed", "0003"),
            ),
            framed_tls=(Framed("tcp:0", "0005"),),
        ),
        admin=Admin(listen=("tcp:9310:interface=127.0.0.1", "unix:/run/admin")),
        tls=Tls(certificate=conf / "cert.pem", private_key=Path("/etc/key.pem")),
        api=Api(
            enabled=False,
            http_v2=False,
            debugreflect=True,
            framings={"exp-http-v2-0001": ("0002",)},
        ),
        web=AccessRules(
            push_ssl=False,
            allow_push=("*",),
            deny_push=("eve",),
            allow_read=("ann", "bob"),
            deny_read=("mallory",),
            allow_pull=False,
        ),
        lists=ListShape(descend=False, collapse=True),
        paths={"/": tmp_path / "server", "/team/one.two": Path("/srv/hg/one")},
        commands=Commands(load=("package.module", conf / "examples" / "dummycommands.py")),
        log=Log(requests=True),
        limits=Limits(frame_payload=32768, drain_seconds=1.0),
        auth=AuthConfig(
            htpasswd=conf / "users.htpasswd",
            tokens=Path("/etc/tokens"),
            groups=conf / "groups",
            certificate_user="san:email",
            realm="our code",
        ),
    )


def test_a_list_left_out_of_listen_is_off(load: Callable[[str], Config]) -> None:
    assert load('[listen]\nhttp = ["tcp:0"]').listen == Listen(http=("tcp:0",), https=())


def test_stars_stand_for_all_repositories_of_a_folder(
    load: Callable[[str], Config], tmp_path: Path
) -> None:
    config = load(
        """
        [paths]
        "/one" = "one"
        "/*" = "*"
        "/**" = "../all/**"
        "/team/x/*" = "/srv/hg/*"
        "/home/**" = "/**"
        """
    )
    here = Path(next(iter(config.repositories.values()))).parent
    assert config.repositories == {"/one": here / "one"}
    assert config.collections == (
        Collection(prefix="/", folder=here),
        Collection(prefix="/", folder=(here / "../all").resolve(), enters_repositories=True),
        Collection(prefix="/team/x", folder=Path("/srv/hg")),
        Collection(prefix="/home", folder=Path("/"), enters_repositories=True),
    )
    assert here.is_relative_to(tmp_path.resolve())


def test_an_empty_paths_table_serves_commands_only(load: Callable[[str], Config]) -> None:
    assert load("[paths]").paths == {}


@pytest.mark.parametrize("key", ["allow-push", "allow_push", "allowpush"])
def test_the_keys_of_hgweb_may_be_spelled_as_in_a_hgrc(
    load: Callable[[str], Config], key: str
) -> None:
    assert load(f'[web]\n{key} = ["ann"]').web == AccessRules(allow_push=("ann",))


@pytest.mark.parametrize("value", ["ann, bob", "ann bob", " ann,bob ", "ann,\\n bob,"])
def test_a_list_of_users_may_be_written_as_in_a_hgrc(
    load: Callable[[str], Config], value: str
) -> None:
    assert load(f'[web]\nallow_read = "{value}"').web == AccessRules(allow_read=("ann", "bob"))


def test_an_empty_string_is_an_empty_list_of_users(load: Callable[[str], Config]) -> None:
    assert load('[web]\nallow_read = ""').web == AccessRules()


def test_a_number_of_seconds_may_be_whole(load: Callable[[str], Config]) -> None:
    seconds = load("[limits]\ndrain_seconds = 3").limits.drain_seconds
    assert (seconds, type(seconds)) == (3.0, float)


WRONG: Final = [
    ("[nosuch]", "nosuch", "unknown key", "data, listen, admin, tls, api, web, paths, moved, "),
    ("listen = 1", "listen", "1 is not a table", "[listen]"),
    ("[data]\ndir = ''", "data.dir", "unknown key", "folder"),
    ("[data]\nfolder = 1", "data.folder", "1 is not accepted", "a path"),
    ("[data]\nfolder = ''", "data.folder", "'' is not accepted", "the path of a folder"),
    ("[listen]\nhttps_ = []", "listen.https_", "unknown key", "http, https, framed, framed_tls"),
    ("[listen]\nhttp = 8000", "listen.http", "8000 is not accepted", "a list of Twisted endpoint"),
    ("[listen]\nhttp = [8000]", "listen.http", "8000 in the list", "a list of Twisted endpoint"),
    ("[listen]\nhttp = ['']", "listen.http", "'' in the list", "a list of Twisted endpoint"),
    (
        "[listen]\nframed = ['0007 tcp:0']",
        "listen.framed",
        "'0007 tcp:0' is not accepted",
        "each perhaps after a dialect: 0002, 0003, 0004, 0005, 0006",
    ),
    (
        "[listen]\nframed_tls = ['0006 ']",
        "listen.framed_tls",
        "'0006 ' is not accepted",
        "each perhaps after a dialect",
    ),
    ("[admin]\nport = 9310", "admin.port", "unknown key", "listen"),
    (
        "[admin]\nlisten = 9310",
        "admin.listen",
        "9310 is not accepted",
        "a list of Twisted endpoint",
    ),
    ("[tls]\nca = ''", "tls.ca", "unknown key", "certificate, private_key, client_ca"),
    ("[tls]\ncertificate = 'a'", "tls.private_key", "missing", "both PEM files, or neither"),
    ("[tls]\nprivate_key = 'a'", "tls.certificate", "missing", "both PEM files, or neither"),
    ("[api]\nenabled = 'yes'", "api.enabled", "'yes' is not accepted", "true or false"),
    ("[api]\nhttp_v2 = 1", "api.http_v2", "1 is not accepted", "true or false"),
    ("[api]\nhttp-v2 = true", "api.http-v2", "unknown key", "enabled, http_v2, debugreflect"),
    (
        "[api.framings]\nexp-http-v2-0002 = ['0006']",
        "api.framings.exp-http-v2-0002",
        "unknown key",
        "exp-http-v2-0001, exp-http-v2-0003",
    ),
    (
        "[api.framings]\nexp-http-v2-0001 = ['0006']",
        "api.framings.exp-http-v2-0001",
        "['0006'] is not accepted",
        "one or more of 0002, 0003, 0005, each once",
    ),
    (
        "[api.framings]\nexp-http-v2-0001 = ['0005', '0005']",
        "api.framings.exp-http-v2-0001",
        "['0005', '0005'] is not accepted",
        "each once",
    ),
    (
        "[api.framings]\nexp-http-v2-0003 = []",
        "api.framings.exp-http-v2-0003",
        "[] is not accepted",
        "one or more of 0006",
    ),
    ("[web]\nstyle = ''", "web.style", "unknown key", "allow-push"),
    ("[web]\npush_ssl = 'no'", "web.push_ssl", "'no' is not accepted", "true or false"),
    ("[web]\nallow-pull = []", "web.allow-pull", "[] is not accepted", "true or false"),
    ("[web]\nallow-push = true", "web.allow-push", "true is not accepted", "a list of user names"),
    (
        "[web]\nallow-push = []\nallow_push = []",
        "web.allow-push",
        "given twice",
        "one of them",
    ),
    ("[paths]\nserver = 'a'", "paths.server", "prefix is not accepted", '"/" or "/name"'),
    ("[moved]\n'/a' = '/b/*'", "moved./a", "can have moved", "without stars"),
    ("[moved]\n'/' = '/b'", "moved./", "can have moved", '"/name"'),
    ("[moved]\n'/a' = 'https://b'", "moved./a", "can have moved", '"/name"'),
    ("[moved]\n'/a' = '/b'\n'/b' = '/a/c'", "moved./a", "in a circle", '"/name"'),
    ("[moved]\n'/a' = '/a/b'", "moved./a", "in a circle", '"/name"'),
    ("[moved]\n'/a' = 1", "moved./a", "can have moved", '"/name"'),
    ("[paths]\n'/a' = 'a'\n[moved]\n'/a' = '/b'", "moved./a", "repository is there", "[paths]"),
    ("[paths]\n'/a/' = 'a'", "paths./a/", "prefix is not accepted", 'no "/" at the end'),
    ("[paths]\n'/a//b' = 'a'", "paths./a//b", "prefix is not accepted", "not empty"),
    ("[paths]\n'/../b' = 'a'", "paths./../b", "prefix is not accepted", '"." or ".."'),
    ("[paths]\n'/a/*' = 'a'", "paths./a/*", "'a' is not accepted", 'ends in "/*"'),
    ("[paths]\n'/a/*' = 'a/**'", "paths./a/*", "'a/**' is not accepted", 'ends in "/*"'),
    ("[paths]\n'/a/**' = 'a/*'", "paths./a/**", "'a/*' is not accepted", 'ends in "/**"'),
    ("[paths]\n'/a/*' = 'a*'", "paths./a/*", "'a*' is not accepted", 'ends in "/*"'),
    ("[paths]\n'/*' = 1", "paths./*", "1 is not accepted", "a path, as a string"),
    ("[paths]\n'/a' = 'a/*'", "paths./a", "'a/*' is not accepted", "a repository folder"),
    ("[paths]\n'/a*' = 'a*'", "paths./a*", "prefix is not accepted", '"/*" or "/**" at its end'),
    ("[paths]\n'/*/a' = 'a'", "paths./*/a", "prefix is not accepted", "segments not empty"),
    ("[paths]\n'/***' = 'a/***'", "paths./***", "prefix is not accepted", '"/*" or "/**"'),
    ("[paths]\n'/./*' = 'a/*'", "paths././*", "prefix is not accepted", '"." or ".."'),
    ("[paths]\n'/' = ''", "paths./", "'' is not accepted", "a repository folder"),
    ("[paths]\n'/' = ['a']", "paths./", "['a'] is not accepted", "a path"),
    ("[commands]\nload = 'a.py'", "commands.load", "'a.py' is not accepted", "a list of modules"),
    ("[commands]\nload = ['a-b']", "commands.load", "'a-b' is neither", "a list of modules"),
    ("[limits]\nnosuch = 1", "limits.nosuch", "unknown key", "frame_payload, request_size"),
    ("[limits]\ncbor_depth = -1", "limits.cbor_depth", "-1 is not accepted", "0 or more"),
    ("[limits]\ncbor_depth = 1.5", "limits.cbor_depth", "1.5 is not accepted", "a whole number"),
    ("[limits]\ncbor_depth = true", "limits.cbor_depth", "true is not accepted", "a whole number"),
    ("[limits]\ncbor_depth = '1'", "limits.cbor_depth", "'1' is not accepted", "a whole number"),
    ("[limits]\ndrain_seconds = nan", "limits.drain_seconds", "nan is not accepted", "a number"),
    ("[limits]\ndrain_seconds = inf", "limits.drain_seconds", "inf is not accepted", "a number"),
    ("[limits]\noutput_low = 1", "limits.output_low", "unknown key", "output_high"),
    ("[auth]\nusers = 'a'", "auth.users", "unknown key", "htpasswd, tokens, groups"),
    ("[auth]\nhtpasswd = 1", "auth.htpasswd", "1 is not accepted", "a path"),
    ("[auth]\nrealm = ''", "auth.realm", "'' is not accepted", "printable ASCII"),
    ("[auth]\nrealm = 'a\"b'", "auth.realm", "is not accepted", "printable ASCII"),
    ("[auth]\nrealm = 'ä'", "auth.realm", "'ä' is not accepted", "printable ASCII"),
    ("[auth]\nrealm = 1", "auth.realm", "1 is not accepted", "printable ASCII"),
    ("[auth]\ncertificate_user = 'dn'", "auth.certificate_user", "'dn' is", '"cn" or "san:email"'),
    ("[auth]\ncertificate_user = []", "auth.certificate_user", "[] is", '"cn" or "san:email"'),
    ("[data\n", "", "is not TOML", "TOML"),
]


@pytest.mark.parametrize(("text", "key", "problem", "accepted"), WRONG)
def test_a_wrong_key_is_an_error_that_names_file_key_and_what_is_accepted(
    load: Callable[[str], Config], tmp_path: Path, text: str, key: str, problem: str, accepted: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(text)
    error = caught.value
    assert (error.file, error.key) == (tmp_path / "conf" / "test.toml", key)
    assert problem in error.problem
    assert accepted in error.accepted
    for part in (str(error.file), error.key, error.problem, error.accepted):
        assert part in str(error)


def test_a_long_wrong_value_is_cut_in_the_error(load: Callable[[str], Config]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(f"[data]\nfolder = {list(range(1000))}")
    assert len(str(caught.value)) < 300


def test_a_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read: No such file or directory"):
        load_config(tmp_path / "nosuch.toml")


def test_a_file_that_is_not_utf_8_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "latin.toml"
    file.write_bytes(b"# \xe4")
    with pytest.raises(ConfigurationError, match=r"is not UTF-8 \(at byte 2\)"):
        load_config(file)


def test_a_relative_file_name_gives_absolute_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.toml").touch()
    monkeypatch.chdir(tmp_path)
    config = load_config(Path("a.toml"))
    assert (config.file, config.data.folder) == (
        tmp_path / "a.toml",
        tmp_path / "data",
    )


def test_the_shipped_file_has_the_default_of_every_key(tmp_path: Path) -> None:
    shipped = load_config(SHIPPED)
    empty = tmp_path / "conf" / "wiredaemon.toml"
    empty.parent.mkdir()
    empty.touch()
    defaults = load_config(empty)
    moved = replace(shipped, file=empty, data=Data(folder=empty.parent / "data"), paths={})
    assert moved == defaults
    # It stands in a folder of its own, and its data beside that.
    assert shipped.data == Data(folder=ROOT / "data")


def test_the_shipped_file_serves_what_the_embedded_default_makes() -> None:
    assert load_config(SHIPPED).paths == {"/": ROOT / "data" / "repository"}


def test_the_shipped_file_names_every_key() -> None:
    tables = tomllib.loads(SHIPPED.read_text("utf-8"))

    def names(values: dict[str, Any]) -> set[str]:
        return {name.replace("-", "_") for name in values}

    defaults = Config(data=Data(folder=ROOT))
    assert names(tables) == {name for name in asdict(defaults) if name not in {"file", "lists"}}
    assert names(tables["data"]) == {"folder"}
    assert names(tables["listen"]) == set(asdict(LOOPBACK))
    assert names(tables["tls"]) == set(asdict(Tls()))
    assert names(tables["api"]) == set(asdict(Api()))
    assert set(tables["api"]["framings"]) == set(Api().framings)
    assert names(tables["web"]) == {*asdict(AccessRules()), *asdict(ListShape())}
    assert names(tables["commands"]) == {"load"}
    assert names(tables["log"]) == set(asdict(Log()))
    assert names(tables["auth"]) == set(asdict(AuthConfig()))
    assert names(tables["limits"]) == set(asdict(Limits()))


def test_every_key_of_the_shipped_file_is_explained_above_it() -> None:
    lines = SHIPPED.read_text("utf-8").splitlines()
    bare = [
        line
        for above, line in zip(["", *lines], lines, strict=False)
        if line and line[0] not in "#[" and not above.startswith("#")
    ]
    # The paths are explained together, above their table.
    assert bare == ['"/" = "../data/repository"']


def test_all_mistakes_of_a_file_are_found_and_the_rest_counts(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text(
        "nosuch = 1\n"
        "[limits]\ncbor_depth = -1\nconnections = 7\nwrong = 2\n"
        '[paths]\n"/a.b/" = "x"\n"/c.d" = "y"\n'
        '[tls]\ncertificate = "c.pem"\n'
        '[redirect]\ntargets = [{ name = "a" }]\n'
        '[api.framings]\nexp-http-v2-0003 = ["7"]\n'
    )
    config, found = load_all(file)
    assert config is not None
    assert (config.limits.connections, list(config.paths)) == (7, ["/c.d"])
    assert sorted(each.key.partition("[")[0] for each in found) == [
        "api.framings.exp-http-v2-0003",
        "limits.cbor_depth",
        "limits.wrong",
        "nosuch",
        "paths./a.b/",
        "redirect.targets",
        "tls.private_key",
    ]


def test_a_file_without_mistakes_is_the_same_either_way(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text("[limits]\nconnections = 7\n")
    assert load_all(file) == (load_config(file), [])


def test_of_a_file_that_cannot_be_parsed_nothing_counts(tmp_path: Path) -> None:
    config, (found,) = load_all(tmp_path / "nosuch.toml")
    assert config is None
    assert found.problem == "cannot be read: No such file or directory"
