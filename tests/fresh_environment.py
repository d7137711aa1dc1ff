"""Runs the commands of README, CONTRIBUTING and docs, as written and in order, in a new clone and environment.

    python tests/fresh_environment.py [--python PYTHON] [--pages PAGE ...] [--tests FILE ...]
                                       [--replace OLD NEW] [--work FOLDER]

The lines share one shell: the README's first line makes and activates the environment. Long commands get the options
that support/documented.py lists; lines that no machine can run for a test are named with the reason. --tests names
the test files that `python -m pytest` is limited to. --replace changes a line where this machine lacks something that
the line needs, such as an index; the report says so. It downloads what the lines say, and takes minutes.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "shared"))

from support.address import ADDRESS
from support.documented import NOT_RUN, PAGES, blocks, examples, needs_flux, shortened, words
from support.places import REPOSITORY

# What mkdocs.yml and AGENTS.md name beside the blocks.
FURTHER = ("ruff check .", "ruff format --check .", "mkdocs build --strict")
STAND_IN = {"comfyui_version.py": '__version__ = "0.33.0"\n', "folder_paths.py": "", "main.py": ""}
"""The files by which `mogle toy install` recognises a ComfyUI."""


@dataclass
class Shell:
    """Runs lines one after the other in bash, in one folder. Variables that a line exports stay set."""

    folder: Path
    state: Path
    environment: dict[str, str]
    exported: str = ""
    log: list[str] = field(default_factory=list)

    def run(self, line: str) -> tuple[int, str]:
        keep = f"trap 'export -p >{shlex.quote(str(self.state))}' EXIT"
        command = ["bash", "-c", f"{self.exported}\n{keep}\n{line}"]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", check=False,
        )  # fmt: skip
        names = ("PATH", "VIRTUAL_ENV")
        kept = self.state.read_text().splitlines() if self.state.exists() else []
        self.exported = "\n".join(one for one in kept if one.startswith(tuple(f"declare -x {name}=" for name in names)))
        return done.returncode, done.stdout


def prepared(work: Path, python: str) -> Shell:
    """A clone of the last commit, a folder with `python3`, and stand-ins for files that the lines expect beside it."""
    clone = work / "ComfyUI-MoGLE"
    subprocess.run(["git", "clone", "--quiet", str(REPOSITORY), str(clone)], check=True)
    for place in ("path/to/ComfyUI", "ComfyUI"):
        (clone / place / "models").mkdir(parents=True)
        for name, text in STAND_IN.items():
            (clone / place / name).write_text(text)
    (clone / "ComfyUI/custom_nodes").mkdir()
    (clone / ".git/info/exclude").write_text("/path/\n/ComfyUI/\n")
    programs = work / "programs"
    programs.mkdir()
    (programs / "python3").write_text(f'#!/bin/sh\nexec {shlex.quote(python)} "$@"\n')
    (programs / "python3").chmod(0o755)
    outside = ("PYTHON", "VIRTUAL_ENV", "COMFYUI_PATH")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(outside)}
    # The repository's address leads to this copy, so that the lines test what is committed here.
    address = {"COUNT": "1", "KEY_0": f"url.{REPOSITORY}.insteadOf", "VALUE_0": ADDRESS}
    environment |= {f"GIT_CONFIG_{name}": value for name, value in address.items()}
    environment |= {"PATH": f"{programs}:{environment['PATH']}", "FACE_MOGLE_HOSTS_TESTED_LATER": "1"}
    return Shell(clone, work / "exported", environment)


def as_run(line: str, options: argparse.Namespace) -> str | None:
    short = shortened(line)
    for old, new in options.replace:
        short = short and short.replace(old, new)
    if short and options.tests:
        files = " ".join(options.tests)
        short = re.sub(r"python -m pytest[^&]*", lambda found: f"{found[0].rstrip()} {files} ", short).rstrip()
    return short


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--python", default=sys.executable)
    options.add_argument("--work", type=Path, help="an empty folder (default: a temporary one)")
    options.add_argument(
        "--pages", nargs="+", default=PAGES, help="only these (default: README, CONTRIBUTING and docs)"
    )
    options.add_argument("--tests", nargs="+", default=[])
    options.add_argument("--replace", nargs=2, action="append", default=[], metavar=("OLD", "NEW"))
    chosen = options.parse_args()
    work = chosen.work or Path(tempfile.mkdtemp(prefix="face-mogle-fresh-"))
    work.mkdir(parents=True, exist_ok=True)
    shell = prepared(work, chosen.python)
    lines = [(block.page, line, as_run(line, chosen)) for block in blocks() for line in _joined(block.lines)]
    lines += [
        (page, "Python example", _example(code)) for page in PAGES for code in examples(page) if not needs_flux(code)
    ]
    lines += [("AGENTS.md", line, line) for line in FURTHER]
    lines = [one for one in lines if one[0] in chosen.pages or chosen.pages == PAGES]
    # .gitignore must know everything that the lines leave behind.
    lines += [(".gitignore", "git status", 'git status --short && test -z "$(git status --porcelain)"')]
    failed = [one for one in lines if not reported(shell, *one)]
    print(f"{len(lines) - len(failed)} of {len(lines)} lines worked or are not run; in {work}")
    return min(1, len(failed))


def _joined(lines: tuple[str, ...]) -> list[str]:
    """A line that changes the folder does so for the rest of its block."""
    joined: list[str] = []
    for line in lines:
        if joined and words(joined[-1])[0] == "cd":
            joined[-1] += f" && {line}"
        else:
            joined.append(line)
    return joined


def _example(code: str) -> str:
    return f"python - <<'THE_EXAMPLE'\n{code}THE_EXAMPLE"


def reported(shell: Shell, page: str, line: str, run: str | None) -> bool:
    """Runs a line, says how it ended, and returns whether that is all right."""
    if run is None:
        reason = next(NOT_RUN[part] for part in line.split(" && ") if part in NOT_RUN)
        print(f"not run        {page}: {line}\n               {reason}", flush=True)
        return True
    start = time.monotonic()
    status, output = shell.run(run)
    how = "worked" if status == 0 else "FAILED"
    print(f"{how} {time.monotonic() - start:5.0f} s  {page}: {line}", flush=True)
    if run != line and line not in ("Python example", "git status"):
        print(f"               as: {run}")
    if status:
        print("\n".join(f"    | {row}" for row in output.splitlines()[-40:]), flush=True)
    shell.log.append(f"$ {run}\n{output}")
    (shell.state.parent / "log.txt").write_text("\n".join(shell.log))
    return status == 0


if __name__ == "__main__":
    sys.exit(main())
