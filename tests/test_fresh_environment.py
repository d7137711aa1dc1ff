"""What fresh_environment.py does with the lines of the documentation: one shell, short forms, and what failed."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest
from support.places import TESTS

if sys.platform == "win32":
    pytest.skip("the lines are for bash", allow_module_level=True)


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fresh_environment", TESTS / "fresh_environment.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclass looks itself up
    spec.loader.exec_module(module)
    return module


def test_an_activated_environment_stays_and_a_folder_does_not(script: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    shell = script.Shell(tmp_path, tmp_path / "exported", dict(os.environ))
    assert shell.run("cd inside && export PATH=/of/the/line:$PATH VIRTUAL_ENV=/here")[0] == 0
    status, output = shell.run('echo "$VIRTUAL_ENV ${PATH%%:*}"; pwd')
    assert (status, output.split()) == (0, ["/here", "/of/the/line", str(tmp_path)])


def test_a_line_that_fails_is_reported(script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shell = script.Shell(tmp_path, tmp_path / "exported", dict(os.environ))
    assert script.reported(shell, "README.md", "true", "true")
    assert not script.reported(shell, "README.md", "echo why && false", "echo why && false")
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("worked") and printed[1].startswith("FAILED")
    assert printed[2] == "    | why"


def test_what_cannot_be_run_says_why(script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = "mogle train paper --set data.root=data/mmcelebahq"
    options = argparse.Namespace(tests=[], replace=[])
    shell = script.Shell(tmp_path, tmp_path / "exported", dict(os.environ))
    assert script.reported(shell, "docs/training.md", line, script.as_run(line, options))
    assert "needs FLUX.1-dev" in capsys.readouterr().out


def test_the_tests_can_be_fewer_and_a_line_changed(script: ModuleType) -> None:
    line = '. .venv/bin/activate && python -m pip install -c constraints.txt -e ".[test]" && python -m pytest'
    options = argparse.Namespace(tests=["tests/test_imports.py"], replace=[("-c constraints.txt ", "")])
    assert script.as_run(line, options) == (
        '. .venv/bin/activate && python -m pip install -e ".[test]" && '
        'python -m pytest -m "not slow" tests/test_imports.py'
    )
    unchanged = argparse.Namespace(tests=[], replace=[])
    assert script.as_run("mogle demo", unchanged) == "mogle demo"


def test_a_change_of_folder_counts_for_the_rest_of_its_block(script: ModuleType) -> None:
    assert script._joined(("mogle demo", "cd a/b", "git clone x")) == ["mogle demo", "cd a/b && git clone x"]
