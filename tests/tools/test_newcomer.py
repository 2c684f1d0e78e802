"""Each task of a newcomer ends as its pages say; and a page that were wrong would be noticed."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from tools.newcomer.__main__ import main
from tools.newcomer.follow import Outcome, follow, variables
from tools.newcomer.matching import matches
from tools.newcomer.page import CommandStep, FileStep, PageError, blocks_of, steps_of
from tools.newcomer.ports import own_ports, replaced
from tools.newcomer.tasks import DOCUMENTS, FIRST, TASKS
from tools.newcomer.wheels import build_wheel, pack_installed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tools.newcomer.tasks import Task


@dataclass(frozen=True)
class Newcomer:
    """Who has installed the project as the first page says."""

    folder: Path
    environment: Mapping[str, str]
    installed: Outcome

    def do(self, task: Task) -> Outcome:
        pages = [DOCUMENTS / page for page in task.pages]
        return follow(pages, self.folder / task.name, self.environment)


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Newcomer:
    folder = tmp_path_factory.mktemp("newcomer")
    wheels = folder / "wheels"
    wheels.mkdir()
    pack_installed(wheels, build_wheel(wheels))
    environment = variables(folder / "home", wheels, has_index=False)
    return Newcomer(folder, environment, follow([DOCUMENTS / FIRST], folder / "first", environment))


def test_the_first_page_installs_and_calls_the_first_command(newcomer: Newcomer) -> None:
    assert newcomer.installed == Outcome(files=3, lines=9, failure="")


def test_a_newcomer_has_none_of_our_programs_and_settings(newcomer: Newcomer) -> None:
    found = [shutil.which(name, path=newcomer.environment["PATH"]) for name in ("python3", "bash")]
    assert None not in found
    assert shutil.which("wiredaemon", path=newcomer.environment["PATH"]) is None
    assert {"PYTHONPATH", "VIRTUAL_ENV", "HGRCPATH"} & set(newcomer.environment) == set()


@pytest.mark.parametrize("task", TASKS[1:], ids=lambda task: task.name)
def test_a_task_ends_as_its_pages_say(newcomer: Newcomer, task: Task) -> None:
    outcome = newcomer.do(task)
    assert outcome.failure == ""
    assert outcome.lines > 1


def test_every_guide_belongs_to_a_task() -> None:
    guides = {f"guides/{file.name}" for file in (DOCUMENTS / "guides").glob("*.md")}
    pages = [page for task in TASKS for page in task.pages]
    assert guides <= set(pages)
    assert len(pages) == len(set(pages))
    assert len(TASKS) >= 10


# --- pages that are wrong ------------------------------------------------------------------------


@pytest.fixture
def read(tmp_path: Path) -> Callable[[str], Outcome]:
    """Follows a page of these blocks, in the environment of the test."""

    def follow_text(text: str) -> Outcome:
        page = tmp_path / "page.md"
        page.write_text(text, "utf-8")
        return follow([page], tmp_path / "folder", {"PATH": "/usr/bin:/bin"})

    return follow_text


SESSION: Final = "```console\n{}\n```\n"


@pytest.mark.parametrize(
    ("session", "printed"),
    [
        ("$ echo one", "one"),
        ("$ echo one\ntwo", "one"),
        ("$ false", "[1]"),
        ("$ true\n[1]", ""),
        ("$ (exit 3)\n[1]", "[3]"),
        ("$ printf one\ntwo", "one"),
        ("$ echo 'not closed", "unexpected EOF"),
        ("$ exit 3", "the shell has ended"),
        ("$ bash -c 'echo listening; exit 4'    # leave it running\nready", "listening"),
    ],
)
def test_what_is_not_as_the_page_says_is_told(
    read: Callable[[str], Outcome], session: str, printed: str
) -> None:
    failure = read(SESSION.format(session)).failure
    assert failure.startswith(f"page.md:2: {session.partition('    #')[0].partition(chr(10))[0]}")
    assert printed in failure.partition("\nprinted\n")[2].partition("\nwhere the page shows\n")[0]


def test_a_shell_lasts_for_a_page(read: Callable[[str], Outcome]) -> None:
    session = (
        "$ mkdir inner; cd inner\n$ word='a word'\n"
        "$ cat > file << EOF\n> $word\n>\n> EOF\n$ cat file; cat ../above\na word\n\nabove\nmore"
    )
    above = "```text\nan aside\n```\n```ini\n# above\nabove\n```\n"
    more = "```ini\n# above, continued\nmore\n```\n"
    outcome = read(
        above.replace("# above\n", "# above, continued\n") + more + SESSION.format(session)
    )
    assert outcome == Outcome(files=2, lines=4, failure="")


def test_a_line_is_given_no_input(read: Callable[[str], Outcome]) -> None:
    assert read(SESSION.format("$ cat\n$ read word\n[1]")).failure == ""


def test_what_is_left_running_ends_with_its_page(
    read: Callable[[str], Outcome], tmp_path: Path
) -> None:
    program = (
        "trap 'echo ended > ended; exit' TERM; echo ready; while :; do read -t 0.02 <> pipe; done"
    )
    session = (
        f'$ mkfifo pipe\n$ bash -c "{program}"    # leave it running\nready\n$ echo other\nother'
    )
    assert read(SESSION.format(session)).failure == ""
    assert (tmp_path / "folder" / "ended").read_text() == "ended\n"


def test_ports_of_a_page_are_free_ones_and_shown_as_the_page_names_them(
    read: Callable[[str], Outcome],
) -> None:
    texts = ['http = ["tcp:8000:interface=127.0.0.1"]', "hgrpc://127.0.0.1:8010/", "at 10:3000"]
    ports = own_ports(texts)
    assert list(ports) == ["8000", "8010"]
    assert (
        replaced("tcp:8000, 8000, x:8010/", ports)
        == f"tcp:{ports['8000']}, 8000, x:{ports['8010']}/"
    )
    failure = read(SESSION.format("$ echo http://127.0.0.1:8000/\nhttp://127.0.0.1:8001/")).failure
    assert "printed\nhttp://127.0.0.1:8000/\n" in failure


# --- reading pages -------------------------------------------------------------------------------


def test_a_page_is_files_and_lines_in_its_order(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "Text.\n\n```toml\n# conf/a.toml\n[a]\n```\n\n- A list:\n\n  ```console\n  $ one\n"
        "  $ two   # leave it running\n  shown\n  ```\n\n```sh\nelsewhere\n```\n"
    )
    assert steps_of(page) == [
        FileStep(line=4, path="conf/a.toml", text="# conf/a.toml\n[a]\n", is_continued=False),
        CommandStep(line=11, command="one\n", expected="", keeps_running=False),
        CommandStep(line=12, command="two\n", expected="shown", keeps_running=True),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("```python\nimport os\n```\n", "page.md:2: this block says neither its file"),
        ("text\n\n    $ ls\n", "page.md:3: this block says neither its file"),
        ("```console\nls\n```\n", "page.md:2: a session begins with a line after `$ `"),
    ],
)
def test_a_block_that_a_reader_could_do_nothing_with_is_refused(
    tmp_path: Path, text: str, words: str
) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(PageError) as caught:
        steps_of(page)
    assert str(caught.value).startswith(words)
    assert len(blocks_of(page)) == 1


@pytest.mark.parametrize(
    ("expected", "printed", "outcome"),
    [
        ("", "\n", True),
        ("", "a\n", False),
        ("a\n", "a\n", True),
        ("a ... c\n", "a b c\n", True),
        ("...\nc\n", "a\nb\nc\n", True),
        ("...\nc\n", "c\n", True),
        ("a\n", "a\nb\n", False),
        ("a ... c\n", "a\nc\n", False),
    ],
)
def test_dots_stand_for_anything_and_for_nothing_else(
    expected: str, printed: str, *, outcome: bool
) -> None:
    assert matches(expected, printed) is outcome
    assert matches(expected, f"{printed.rstrip()}\nmore\n", goes_on=True) is outcome or not outcome


def test_a_task_that_there_is_not_is_an_error_with_those_that_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["nosuch"])
    assert caught.value.code == 2
    assert "no such task: nosuch (there are quickstart, kinds, " in capsys.readouterr().err
