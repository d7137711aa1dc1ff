"""The version comes from pyproject.toml alone, installed or not, whatever name ComfyUI gives the pack."""

from __future__ import annotations

import importlib.util
import re
import shutil
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import mogle_core
from mogle_core.cli import main

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
OURS = '[project]\nname = "face-mogle"\nversion = "9.8.7"\n\n[tool.other]\nversion = "0.0.1"\n'
ANOTHER = OURS.replace("face-mogle", "other-project")


def loaded(folder: Path) -> ModuleType:
    """The package from a copy in `folder`, as ComfyUI loads it: not installed, under another name."""
    package = folder / "mogle_core"
    package.mkdir()
    shutil.copy(Path(mogle_core.__file__), package)
    spec = importlib.util.spec_from_file_location("some_pack.mogle_core", package / "__init__.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def installed(version: str) -> Any:
    def answer(name: str) -> str:
        if not version:
            raise metadata.PackageNotFoundError(name)
        return version

    return answer


def test_the_version_is_the_one_in_pyproject(capsys: pytest.CaptureFixture[str]) -> None:
    written = re.search(r'^version = "(\d+\.\d+\.\d+)"$', PYPROJECT.read_text("utf-8"), re.MULTILINE)[1]
    assert mogle_core.__version__ == written
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"face-mogle {written}\n"


def test_the_running_folder_precedes_an_installed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", installed("1.2.3"))
    (tmp_path / "pyproject.toml").write_text(OURS, "utf-8")
    assert loaded(tmp_path).__version__ == "9.8.7"


@pytest.mark.parametrize("beside", [None, ANOTHER, "not even TOML"])
@pytest.mark.parametrize("version", ["1.2.3", ""])
def test_without_this_projects_file_the_installed_package_is_read(
    beside: str | None, version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metadata, "version", installed(version))
    if beside is not None:
        (tmp_path / "pyproject.toml").write_text(beside, "utf-8")
    assert loaded(tmp_path).__version__ == (version or "unknown")


def test_nothing_is_read_before_first_access(tmp_path: Path) -> None:
    module = loaded(tmp_path)
    (tmp_path / "pyproject.toml").write_text(OURS, "utf-8")
    assert module.__version__ == "9.8.7"
    (tmp_path / "pyproject.toml").write_text(OURS.replace("9.8.7", "9.9.9"), "utf-8")
    assert module.__version__ == "9.8.7", "read once"


def test_other_names_are_still_missing(tmp_path: Path) -> None:
    with pytest.raises(AttributeError, match="has no attribute 'verison'"):
        loaded(tmp_path).verison  # noqa: B018
