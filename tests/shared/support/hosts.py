"""Finds the ComfyUI that the tests run in, and says what is missing if there is none.

    python tests/shared/support/hosts.py          lists every ComfyUI that `.ci/run` tests

Needs only the standard library, so that it runs in any interpreter.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

# Not resolved: a pack that is linked into custom_nodes belongs to that ComfyUI.
REPOSITORY = Path(os.path.abspath(__file__)).parents[3]
VARIABLE = "COMFYUI_PATH"
USUAL_PLACES = ("~/ComfyUI", "~/comfy/ComfyUI")
# From here on ComfyUI's requirements.txt lists what it starts without.
_OPTIONAL_FROM = "#non essential"


class NoHostError(Exception):
    """There is no ComfyUI to test in. The message says what is needed."""


@dataclass(frozen=True)
class Host:
    """A ComfyUI checkout."""

    path: Path

    @property
    def version(self) -> tuple[int, ...]:
        """(0, 33, 0) of `__version__ = "0.33.0"`."""
        found = re.search(r'__version__ = "([\d.]+)', (self.path / "comfyui_version.py").read_text("utf-8"))
        return tuple(int(part) for part in found[1].strip(".").split(".")) if found else ()

    @property
    def name(self) -> str:
        return "ComfyUI " + ".".join(map(str, self.version))

    def missing_packages(self) -> list[str]:
        """Distributions that this ComfyUI requires and this interpreter lacks."""
        return [name for name in self._necessary() if not _is_installed(name)]

    def _necessary(self) -> Iterator[str]:
        for line in (self.path / "requirements.txt").read_text("utf-8").splitlines():
            if line.lower().startswith(_OPTIONAL_FROM):
                return
            if name := re.match(r"[\w.-]+", line):
                yield name[0]
        yield "requests"  # needed and undeclared in 0.3.64


def _is_installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def is_comfyui(path: Path) -> bool:
    return (path / "comfyui_version.py").is_file() and (path / "nodes.py").is_file()


def named() -> list[Host]:
    """The hosts that COMFYUI_PATH names. An entry without a ComfyUI is an error, not a reason to skip."""
    entries = [entry for entry in os.environ.get(VARIABLE, "").split(os.pathsep) if entry]
    paths = [Path(entry).expanduser().absolute() for entry in entries]
    for path in paths:
        if not is_comfyui(path):
            raise ValueError(f"{VARIABLE} names {path}, which is not a ComfyUI: no comfyui_version.py there.")
    return [Host(path) for path in paths]


def find() -> list[Host]:
    """COMFYUI_PATH, or the ComfyUI around this pack, or the first of the usual places that exists."""
    if hosts := named():
        return hosts
    around = [REPOSITORY.parent.parent] if REPOSITORY.parent.name == "custom_nodes" else []
    return _hosts_at([*around, *(Path(place).expanduser() for place in USUAL_PLACES)])[:1]


def find_all() -> list[Host]:
    """Like `find`; unless COMFYUI_PATH chooses, also every ~/ComfyUI-*."""
    if hosts := named():
        return hosts
    return list(dict.fromkeys([*find(), *_hosts_at(sorted(Path.home().glob("ComfyUI-*")))]))


def _hosts_at(paths: Iterable[Path]) -> list[Host]:
    return [Host(path.absolute()) for path in paths if is_comfyui(path)]


def choose() -> Host:
    """The one ComfyUI that this process can test in: the first one, if its packages are installed here.

    Raises NoHostError with what is needed, and ValueError if COMFYUI_PATH points to something else.
    """
    hosts = find()
    if not hosts:
        places = " and ".join(USUAL_PLACES)
        raise NoHostError(f"No ComfyUI found: {VARIABLE} is not set and there is none in {places}.")
    if missing := hosts[0].missing_packages():
        if len(missing) > 6:
            missing[5:] = [f"{len(missing) - 5} more"]
        raise NoHostError(
            f"{hosts[0].name} in {hosts[0].path} cannot start in {sys.executable}, which lacks "
            f"{', '.join(missing)}. Make an environment that can, and run the tests in it: "
            f"python tests/host/environment.py {hosts[0].path} VENV"
        )
    return hosts[0]


if __name__ == "__main__":
    for host in find_all():
        print(host.path)
