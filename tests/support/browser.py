"""A headless Chromium: pages opened, links followed, and what they look like once scripts have run.

Owns one browser process and the pipe it is driven by: JSON messages of the DevTools protocol, each
ended by a zero byte. What is waited for is an event, never a time.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import time
from base64 import b64decode
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType
    from typing import Self

DEADLINE: Final = 60.0
"""Seconds for a page or an answer before the test fails."""

_OPTIONS: Final = (
    "--headless",
    "--remote-debugging-pipe",
    "--no-sandbox",  # root, as in containers, has none
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
)
_LAUNCH: Final = (
    "import fcntl, os, sys\n"
    "ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]\n"
    "os.dup2(ends[0], 3)\n"
    "os.dup2(ends[1], 4)\n"
    "os.execv(sys.argv[3], sys.argv[3:])\n"
)
"""Becomes the browser, with the pipes where it looks for them: it reads 3 and writes 4."""
_PIECE: Final = 1 << 16
_DOMAINS: Final = ("Page", "Runtime", "Log", "Network")


class BrowserError(Exception):
    """The browser ended, took too long or refused what it was asked for."""


def chromium() -> str:
    """Return the path of Chromium; without one the test is skipped, and fails on CI."""
    program = shutil.which("chromium")
    if program is None:
        # Whoever promises to have tested everything must not leave this out unseen.
        if os.environ.get("CI"):
            pytest.fail("there is no chromium")
        pytest.skip("there is no chromium: apt-get install chromium")
    return program


class Browser:
    """A browser with one page; ended by ``with``."""

    def __init__(self, program: str, folder: Path) -> None:
        """Start it.

        Args:
            program: Path of Chromium.
            folder: Does not exist, or is empty: its profile.
        """
        with ExitStack() as ours:
            theirs_in, self._to = os.pipe()
            ours.callback(os.close, theirs_in)
            self._from, theirs_out = os.pipe()
            ours.callback(os.close, theirs_out)
            self._log = (folder.parent / f"{folder.name}.log").open("wb")
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-c", _LAUNCH, str(theirs_in), str(theirs_out), program),
                    *_OPTIONS,
                    f"--user-data-dir={folder}",
                ],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=subprocess.STDOUT,
                pass_fds=(theirs_in, theirs_out),
            )
        self._unread = bytearray()
        self._asked = 0
        self._session: str | None = None
        self._loaded = ""
        """Names the document that was loaded last."""
        self.problems: list[str] = []
        """Return complaints of the page in view: errors of scripts, refused or missing parts."""
        try:
            target = self._ask("Target.createTarget", url="about:blank")["targetId"]
            attached = self._ask("Target.attachToTarget", targetId=target, flatten=True)
            self._session = attached["sessionId"]
            for domain in _DOMAINS:
                self._ask(f"{domain}.enable")
            self._ask("Page.setLifecycleEventsEnabled", enabled=True)
        except BaseException:
            self._end()
            raise

    def __enter__(self) -> Self:
        """Return the running daemon."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        self._end()

    def open(self, url: str) -> None:
        """Show a page, and wait until it and all its parts are loaded."""
        self.problems.clear()
        document = self._ask("Page.navigate", url=url).get("loaderId")
        self._wait(lambda: self._loaded == document)

    def follow(self, text: str) -> None:
        """Click on the first link with a text, and wait for the page behind it."""
        wanted = json.dumps(text)
        link = f"[...document.links].find(link => link.textContent === {wanted})"
        self.problems.clear()
        before = self._loaded
        self.evaluate(f"{link}.click()")
        self._wait(lambda: self._loaded != before)

    def view(self, scheme: str, width: int, height: int) -> None:
        """Look at the page, and at those to come, as a reader of ``light`` or ``dark`` pages does.

        Args:
            scheme: What the reader's system prefers.
            width: Of the window, in pixels.
            height: The same.
        """
        preferred = {"name": "prefers-color-scheme", "value": scheme}
        self._ask("Emulation.setEmulatedMedia", features=[preferred])
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._ask("Emulation.setDeviceMetricsOverride", **size)

    def screenshot(self) -> bytes:
        """Return what is seen of the page, as PNG."""
        return b64decode(self._ask("Page.captureScreenshot", format="png")["data"])

    def evaluate(self, script: str) -> Any:
        """Return the value of an expression in the page, a promise's when it is kept.

        Scripts of ours are not subject to the page's Content-Security-Policy.
        """
        answer = self._ask(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in answer:
            raise BrowserError(f"{script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def texts(self, selector: str) -> list[str]:
        """Return the texts that elements show, in order, as CSS lets them be seen."""
        nodes = f"document.querySelectorAll({json.dumps(selector)})"
        found: list[str] = self.evaluate(f"[...{nodes}].map(node => node.innerText)")
        return found

    def style(self, selector: str, name: str) -> str:
        """Return a CSS property of the first such element, as it is applied."""
        node = f"document.querySelector({json.dumps(selector)})"
        found: str = self.evaluate(f"getComputedStyle({node}).getPropertyValue({json.dumps(name)})")
        return found

    def _wait(self, is_done: Callable[[], bool]) -> None:
        end = time.monotonic() + DEADLINE
        while not is_done():
            self._receive(end)

    def _ask(self, method: str, **parameters: Any) -> Any:
        self._asked += 1
        message = {"id": self._asked, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + DEADLINE
        while True:
            answer = self._receive(end)
            if answer.get("id") == self._asked:
                if "error" in answer:
                    raise BrowserError(f"{method}: {answer['error']}")
                return answer["result"]

    def _receive(self, end: float) -> Any:
        """Wait for a message; events are taken note of."""
        while (cut := self._unread.find(b"\0")) < 0:
            ready, _, _ = select.select([self._from], [], [], max(0.0, end - time.monotonic()))
            piece = os.read(self._from, _PIECE) if ready else b""
            if not piece:
                raise BrowserError("the browser ended" if ready else "nothing came in time")
            self._unread += piece
        message = json.loads(self._unread[:cut])
        del self._unread[: cut + 1]
        details = message.get("params", {})
        match message.get("method"):
            case "Page.lifecycleEvent" if details["name"] == "load":
                self._loaded = details["loaderId"]
            case "Runtime.exceptionThrown" | "Network.loadingFailed":
                self.problems.append(json.dumps(details))
            case "Log.entryAdded" if details["entry"]["level"] in {"warning", "error"}:
                self.problems.append(json.dumps(details))
            case _:
                pass
        return message

    def _end(self) -> None:
        os.close(self._to)
        try:
            self._process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._from)
        self._log.close()
