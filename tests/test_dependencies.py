"""Every package that an extra installs is used, and `mogle demo` needs no more than the extra `demo`."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.places import REPOSITORY

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

EXTRAS: dict[str, list[str]] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"][
    "optional-dependencies"
]
MODULES = {
    "Pillow": "PIL",
    "PyYAML": "yaml",
    "opencv-python-headless": "cv2",
    "scikit-learn": "sklearn",
    "tomli-w": "tomli_w",
}
FOR_OTHERS = {
    "sentencepiece": "transformers reads spiece.model with it: test_tokenizers.py",
    "protobuf": "transformers reads spiece.model with it: test_tokenizers.py",
    "tensorboard": "accelerate reports to it",
    "wandb": "accelerate reports to it",
}
"""Packages that no file of ours imports, and who needs them."""

BROUGHT_BY_USERS = {"ImageReward", "lpips", "torch_fidelity"}
"""Modules of networks that the command uses only where somebody has installed them."""


def names(extra: str) -> list[str]:
    """The packages that an extra installs, without those of the extras that it includes."""
    found = [re.match(r"[\w.-]+(\[.*\])?", entry) for entry in EXTRAS[extra]]
    return [match[0] for match in found if match is not None and not match[0].startswith("face-mogle[")]


def imported() -> set[str]:
    """The top-level modules that the core imports, also those that it looks up by name."""
    found: set[str] = set()
    for path in (REPOSITORY / "mogle_core").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add(str(node.module).split(".")[0])
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
                found |= {str(a.value).split(".")[0] for a in node.args[:1] if isinstance(a, ast.Constant)}
    return found


@pytest.mark.parametrize("extra", ["demo", "headless", "quantised", "cluster", "trackers"])
def test_every_package_of_an_extra_is_imported(extra: str) -> None:
    used = imported()
    unused = [name for name in names(extra) if MODULES.get(name, name) not in used and name not in FOR_OTHERS]
    assert not unused


def test_what_is_kept_for_others_is_in_an_extra_and_not_imported() -> None:
    asked = {name for extra in EXTRAS for name in names(extra)}
    assert set(FOR_OTHERS) <= asked
    assert not set(FOR_OTHERS) & imported()


def test_every_package_that_the_core_imports_is_in_an_extra() -> None:
    asked = {MODULES.get(name, name) for extra in EXTRAS for name in names(extra)}
    assert imported() - set(sys.stdlib_module_names) - asked == set(BROUGHT_BY_USERS)


_DEMO = """
import importlib.metadata, sys
from mogle_core.cli import main
status = main(["demo", "--steps", "1", "--out", sys.argv[1]])
known = importlib.metadata.packages_distributions()
print(*sorted({name for module in list(sys.modules) for name in known.get(module.split(".")[0], ())}))
sys.exit(status)
"""


@pytest.mark.slow
def test_the_demo_imports_what_its_extra_installs(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _DEMO, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, check=False)
    assert done.returncode == 0, done.stderr
    loaded = {name.lower() for name in done.stdout.splitlines()[-1].split()}
    of_torch = {"typing_extensions", "sympy", "mpmath", "networkx", "jinja2", "markupsafe", "fsspec", "filelock"}
    where_installed = {"colorama"}  # tqdm's, for old Windows; the site's builder brings it
    rest = {"face-mogle", "setuptools", "pip"} | of_torch | where_installed
    assert {name.lower() for name in names("demo")} <= loaded
    assert loaded - rest == {name.lower() for name in names("demo")}
