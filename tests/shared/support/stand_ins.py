"""Empty modules in place of packages that a ComfyUI imports at its start and that no sampling run needs.

For an environment that cannot be completed, such as a machine without a network: `av` alone is 34 MiB. A package that
is installed is never hidden; one of these that is really used fails at its use, by name.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Any

PACKAGES = (
    "PIL", "aiohttp", "alembic", "av", "blake3", "comfy_aimdo", "cv2", "kornia", "psutil", "pydantic_settings",
    "requests", "scipy", "sentencepiece", "simpleeval", "spandrel", "sqlalchemy", "torchaudio", "torchsde",
    "torchvision", "yarl",
)  # fmt: skip


class _Named(type):
    """Classes whose attributes are such classes again, as long as nothing is made of them."""

    def __getattr__(cls, name: str) -> Any:
        return _absent(name, f"{cls.__module__}.{cls.__name__}")


class _Absent(metaclass=_Named):
    """Anything of a package that is not here: to be named in annotations, or derived from."""

    def __init__(self, *_: object, **__: object) -> None:
        kind = type(self)
        raise ModuleNotFoundError(f"{kind.__module__}.{kind.__name__} was used, and only a stand-in of it is here.")


def _absent(name: str, place: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return _Named(name, (_Absent,), {"__module__": place})


class _StandIn(ModuleType):
    __path__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return _absent(name, self.__name__)


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def __init__(self, packages: frozenset[str]) -> None:
        self.packages = packages

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name.partition(".")[0] not in self.packages:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return _StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


def install(packages: Iterable[str] = PACKAGES) -> list[str]:
    """Stand-ins for those of the packages that are not installed; their names."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    sys.meta_path.append(_Finder(frozenset(missing)))
    return missing
