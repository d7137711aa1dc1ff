"""The source distribution holds what the repository does."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from support import shipped
from support.places import REPOSITORY

MADE = {"PKG-INFO", "setup.cfg"}
"""What setuptools adds."""


@pytest.mark.slow
def test_the_source_distribution_holds_every_file_in_git(tmp_path: Path) -> None:
    tracked = {path for path in shipped.tracked() if not (REPOSITORY / path).is_symlink()}
    copy = tmp_path / "repository"
    for path in tracked:
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / path, copy / path)
    program = "from setuptools import build_meta; build_meta.build_sdist('dist')"
    made = subprocess.run([sys.executable, "-c", program], cwd=copy, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    (archive,) = (copy / "dist").glob("*.tar.gz")
    with tarfile.open(archive) as content:
        files = {name.partition("/")[2] for name in content.getnames() if content.getmember(name).isfile()}
    files = {name for name in files if ".egg-info/" not in name} - MADE
    assert files == tracked
