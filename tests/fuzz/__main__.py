"""Runs fuzz targets with atheris: ``python -m fuzz [TARGET ...] [--seconds N]``.

Each target runs in a process of its own, over its corpus in ``corpora/``. A finding ends it with
status 1; its input is kept in the temporary folder that is printed. Needs the extra ``fuzz``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

CORPORA: Final = Path(__file__).parent / "corpora"
# Of the largest bounds in `targets.LIMITS`, with room for a few frames.
_LARGEST_INPUT: Final = 4096
_HELD: Final = 2048
"""MiB of memory at which libFuzzer calls an input a finding."""


def main() -> int:
    """Run the targets that the command line names, and return the exit status."""
    parser = argparse.ArgumentParser(prog="fuzz", description="Fuzz what peers send.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="default: all of them")
    parser.add_argument("--seconds", type=int, default=600, help="for each target (600)")
    parser.add_argument("--within", metavar="FOLDER", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.within is not None:
        _fuzz(options.targets[0], options.seconds, Path(options.within))
    names = options.targets or sorted(folder.name for folder in CORPORA.iterdir())
    failed = [name for name in names if not _run(name, options.seconds)]
    if failed:
        print(f"findings: {', '.join(failed)}")
    return 1 if failed else 0


def _run(name: str, seconds: int) -> bool:
    """Run one target in a process of its own; return whether it found nothing."""
    folder = Path(tempfile.mkdtemp(prefix=f"fuzz-{name}-"))
    print(f"{name}: {seconds} s, inputs in {folder}", flush=True)
    command = [sys.executable, "-m", "fuzz", name, f"--seconds={seconds}", f"--within={folder}"]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    lines = ended.stderr.splitlines()
    shown = [line for line in lines if "stat::" in line or "Done " in line]
    print("\n".join(shown if ended.returncode == 0 else lines[-60:]), flush=True)
    return ended.returncode == 0


def _fuzz(name: str, seconds: int, folder: Path) -> None:
    """Fuzz in this process, which libFuzzer ends."""
    import atheris  # noqa: PLC0415 only here is the extra needed

    with atheris.instrument_imports(include=["wiredaemon"]):
        from fuzz.targets import TARGETS  # noqa: PLC0415 imported under atheris's watch

    arguments = [
        f"-max_total_time={seconds}",
        f"-max_len={_LARGEST_INPUT}",
        f"-rss_limit_mb={_HELD}",
        f"-artifact_prefix={folder}/finding-",
        "-timeout=10",
        "-print_final_stats=1",
        str(folder),
        str(CORPORA / name),
    ]
    atheris.Setup([sys.argv[0], *arguments], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    raise SystemExit(main())
