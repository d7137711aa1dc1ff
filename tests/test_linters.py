"""What the Comfy Registry's own tools say of the archive: comfy-cli's check before publishing, and comfy-test's lint.

They run in an environment of their own, .venv-registry, or from the path; neither needs the network. A finding that
stays is listed here with its reason, so that every new one fails.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support import shipped

REPOSITORY = Path(__file__).parents[1]
NEEDS = "python -m venv .venv-registry, then .venv-registry/bin/pip install comfy-cli comfy-test"

# Layers of torch, not of ComfyUI: the core runs without ComfyUI. Each module is a few MB at most, and a ModelPatcher
# of its own moves it. And torch.load, which is called with weights_only.
OF_TORCH = {
    "mogle_core/model/checkpoints/tensors.py",
    "mogle_core/model/mixture/extra.py",
    "mogle_core/model/mixture/network.py",
    "mogle_core/toy/text.py",
    "mogle_core/toy/judge.py",
}
# The editor lives in a frame, whose document is the editor's own; the frame itself is added to the page. The packer
# listens to the worker that it starts, and the shelf of drafts to a BroadcastChannel, which only pages of this origin
# reach.
OWN_DOCUMENT = {
    ("document-level-listener", "painter/editor/drops.mjs"),
    ("unguarded-message-listener", "painter/node/packer.mjs"),
    ("unguarded-message-listener", "painter/node/draftshelf.mjs"),
    ("shared-dom-injection", "painter/editor/window.mjs"),
    ("shared-dom-injection", "painter/editor/page.mjs"),
    ("document-level-listener", "painter/editor/keyboard.mjs"),
}


def tool(name: str) -> str:
    places = os.pathsep.join([str(REPOSITORY / ".venv-registry/bin"), os.environ.get("PATH", "")])
    found = shutil.which(name, path=places)
    if found is None:
        pytest.skip(f"{name} is not installed: {NEEDS}")
    return found


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shipped.unpack(tmp_path_factory.mktemp("archive"))


@pytest.fixture(scope="module")
def lint(archive: Path) -> dict[str, Any]:
    run = subprocess.run([tool("comfy-test"), "lint", "--json", archive], capture_output=True, text=True, check=False)
    results: dict[str, Any] = json.loads(run.stdout)["results"]
    return results


def test_comfy_node_validate_passes(archive: Path) -> None:
    command = [tool("comfy"), "--skip-prompt", "--no-enable-telemetry", "node", "validate"]
    home = {"HOME": str(archive), "PATH": os.environ["PATH"], "DO_NOT_TRACK": "1"}
    run = subprocess.run(command, cwd=archive, env=home, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "All validation checks passed" in run.stdout + run.stderr


def test_its_python_has_only_the_findings_that_are_known(lint: dict[str, Any]) -> None:
    details = lint["syntax"]["details"] or ""
    files = set(re.findall(r"^(\S+\.py):$", details, re.MULTILINE))
    assert files <= OF_TORCH, details
    assert not re.search(r"Line \d+(?!.*(operations\.|torch\.load))", details), details


def test_its_pages_script_has_only_the_findings_that_are_known(lint: dict[str, Any]) -> None:
    """No finding is about a name: extensions, settings, elements and storage keys begin with the pack's name."""
    javascript = lint["javascript"]
    assert javascript["namespaces"] == ["comfyuimogle"] and javascript["namespaces_declared"]
    assert {(one["rule"], one["file"]) for one in javascript["findings"]} <= OWN_DOCUMENT, javascript["findings"]
