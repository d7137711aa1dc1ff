"""`mogle doctor`: reports installed packages, devices, weights, and their problems."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ..support.sentences import counted

if TYPE_CHECKING:
    from .diagnosis.findings import Finding


def add_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("paths", nargs="*", type=Path, help="checkpoints, folders of them, or a ComfyUI")
    command.add_argument("--json", action="store_true", help="print one JSON object instead of lines")


def run(options: argparse.Namespace) -> Iterator[str]:
    """Yield the report line by line. Raises ValueError at the end if something cannot be used."""
    findings = []
    for finding in report(options.paths):
        findings.append(finding)
        if not options.json:
            yield finding.line
    wrong = sum(finding.status == "wrong" for finding in findings)
    if options.json:
        yield json.dumps({"usable": not wrong, "findings": [asdict(each) for each in findings]}, indent=2)
    if wrong:
        raise ValueError(f"{counted(wrong, 'thing')} cannot be used as {'it is' if wrong == 1 else 'they are'}.")


def report(paths: list[Path]) -> Iterator[Finding]:
    """Findings about this machine, then about each path: a checkpoint, a folder of them, or a ComfyUI."""
    from .diagnosis.machine import machine

    yield from machine()
    for path in paths:
        yield from _examined(path)


def _examined(path: Path) -> Iterator[Finding]:
    from .diagnosis.comfyui import comfyui, is_comfyui
    from .diagnosis.findings import Finding
    from .diagnosis.weights import ENDINGS, examined

    if is_comfyui(path):
        yield from comfyui(path)
    elif path.is_dir():
        files = [file for file in sorted(path.rglob("*")) if file.suffix.lower() in ENDINGS and file.is_file()]
        if not files:
            yield Finding(str(path), f"There are no weights (looked for {', '.join(ENDINGS)}).", "wrong")
        yield from (examined(file)[1] for file in files)
    elif path.is_file():
        yield examined(path)[1]
    else:
        yield Finding(str(path), "There is no such file or folder.", "wrong")
