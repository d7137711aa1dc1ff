"""What the Comfy Registry ships: the files in git, without those that .comfyignore names.

The nodes with all that they import, their pages and templates, and nothing else: since June 2026 any finding of the
Registry's scanner flags a version, also in code that no node reaches.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support import shipped as registry

REPOSITORY = Path(__file__).parents[1]
WHOLE = ("nodes", "web", "locales", "example_workflows", "subgraphs")
SHIPPED = {
    *WHOLE,
    *("__init__.py", "pyproject.toml", "requirements.txt", "LICENSE", "README.md", "CHANGELOG.md", "mogle_core"),
}
# Beside what is imported: the template's mask, and what the node Toy Prompt reads.
BESIDE = {"docs/mm_celeba_27000.png", "mogle_core/toy/weights/toy_text.safetensors"}
MEGABYTES = 3
FLAGGED = {
    "*.py": {
        "code from text": r"(?<![\w.])(eval|exec|compile|__import__)\(|\.eval\(",
        "environment": r"os\.environ|getenv|os\.putenv",
        "processes": r"\bsubprocess\b|os\.system|os\.popen|os\.exec|\bpty\b",
        "network": r"\burllib\b|\brequests\b|\bhttpx\b|http\.client|import socket|socket\.socket|\bftplib\b",
        "downloads": r"aiohttp\.Client|from_pretrained|hf_hub|load_state_dict_from_url",
        "written files": r"open\([^)]*[\"'][wax]b?\+?[\"']|write_text|write_bytes|\.save\(|save_file|torch\.save",
        "changed folders": r"makedirs|mkdir|unlink|\bshutil\b|os\.remove|os\.rename",
    },
    "*js": {
        "code from text": r"\beval\(|new Function",
        "network": r"https?://(?!www\.w3\.org)|XMLHttpRequest|WebSocket\([\"'`]",
    },
}


@pytest.fixture(scope="module")
def shipped() -> set[str]:
    return registry.files()


@pytest.mark.parametrize("folder", WHOLE)
def test_what_the_nodes_need_is_shipped_whole(folder: str, shipped: set[str]) -> None:
    tracked = {path for path in registry.tracked() if path.startswith(f"{folder}/")}
    assert tracked
    assert tracked - shipped == set()


def test_of_the_core_exactly_what_the_nodes_import_is_shipped(shipped: set[str]) -> None:
    """A new module of the core that nodes import is shipped by itself; any other needs its line in .comfyignore."""
    core = {path for path in registry.imported() if path.startswith("mogle_core/")}
    assert {path for path in shipped if path.startswith("mogle_core/")} == core | BESIDE - {"docs/mm_celeba_27000.png"}


def test_nothing_else_is_shipped(shipped: set[str]) -> None:
    """A new file at the top is to be shipped or not on purpose: add it to SHIPPED here or to .comfyignore."""
    assert {path.split("/")[0] for path in shipped - BESIDE} - SHIPPED == set()
    assert {"__init__.py", "pyproject.toml", "LICENSE", "README.md"} | BESIDE <= shipped
    assert sum((REPOSITORY / path).stat().st_size for path in shipped) < MEGABYTES * 2**20


@pytest.mark.parametrize("kind", FLAGGED)
def test_nothing_shipped_is_what_scanners_flag(kind: str, shipped: set[str]) -> None:
    found = [
        f"{path}:{number}: {what}: {line.strip()}"
        for path in sorted(shipped)
        if path.endswith(kind.lstrip("*"))
        for number, line in enumerate((REPOSITORY / path).read_text("utf-8").splitlines(), 1)
        for what, pattern in FLAGGED[kind].items()
        if re.search(pattern, line) and not line.strip().startswith(("#", "//", "*"))
    ]
    assert found == []


def test_icon_and_banner_have_the_registrys_sizes() -> None:
    """An icon of at most 400 x 400, a banner of 21:9; at the addresses that pyproject.toml names they are in docs/."""
    text = (REPOSITORY / "pyproject.toml").read_text("utf-8")
    sizes = {}
    for field in ("Icon", "Banner"):
        (name,) = re.findall(
            rf'^{field} = "https://raw\.githubusercontent\.com/.*/main/(docs/.*\.svg)"$', text, re.MULTILINE
        )
        head = (REPOSITORY / name).read_text("utf-8")[:200]
        sizes[field] = tuple(int(re.findall(rf'{side}="(\d+)"', head)[0]) for side in ("width", "height"))
    assert max(sizes["Icon"]) <= 400
    assert sizes["Banner"][0] * 9 == sizes["Banner"][1] * 21
