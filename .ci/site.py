"""The hook of mkdocs.yml: which files the site has and where, and what links to the repository's other files become.

The pages keep their places: README.md is the start, docs/ and web/docs/ are folders. A link to a file that is not a
page, such as a test, leads to the repository.
"""

from __future__ import annotations

import posixpath
import re
import subprocess
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files
from mkdocs.structure.nav import Navigation
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
AT_THE_TOP = ("README.md", "CONTRIBUTING.md", "AGENTS.md", "CHANGELOG.md", "SECURITY.md")
FOLDERS = ("docs", "web/docs")
ENDINGS = (".md", ".jpg", ".png", ".svg", ".webp", ".gif")
API = {
    "masks": "Label maps: classes, label spaces, decoding, editing, scores.",
    "model/mixture": "Experts, gate, regions, mask latents.",
    "model/stream": "The mask stream: blocks, attention, modulation, LoRA, kept keys.",
    "model/flux": "FLUX.1 without ComfyUI.",
    "model/encoders": "VAE and text encoders without ComfyUI.",
    "model/checkpoints": "Reading, writing and converting checkpoints.",
    "model/sampling": "Noise levels and the sampler.",
    "dataset": "Faces, masks and captions on disk.",
    "training": "Configuration, data, loop, checkpoints.",
    "parse": "From a photo to a label map.",
    "generation": "Images by the thousand.",
    "evaluation": "The paper's metrics.",
    "annotation": "Masks for photos.",
    "toy": "The embedded small world.",
    "support": "Files, memory, versions.",
}
"""Packages of the core, and what their page says first."""

# The text of a link may be a picture, such as a badge.
_LINK = re.compile(r"(?<!\!)\[((?:!\[[^\]]*\]\([^)]*\)|[^\]])*)\]\(([^)#\s]+)(#[^)\s]*)?\)")


def tracked() -> list[str]:
    listing = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, check=True, text=True)
    return listing.stdout.split("\0")[:-1]


def on_files(files: Files, config: Any) -> Files:
    """Every page and picture at its place in the repository, and a page of the API for each package."""
    for file in list(files):
        if not file.src_uri.startswith("assets/"):
            files.remove(file)
    for path in tracked():
        folder, _, name = path.rpartition("/")
        if path in AT_THE_TOP or folder in FOLDERS and name.endswith(ENDINGS):
            files.append(File(path, str(ROOT), config.site_dir, config.use_directory_urls))
    for package, purpose in API.items():
        files.append(File.generated(config, f"api/{package.replace('/', '_')}.md", content=api_page(package, purpose)))
    return files


def api_page(package: str, purpose: str) -> str:
    """One page that lists the package's modules; mkdocstrings takes their text from the docstrings."""
    folder = ROOT / "mogle_core" / package
    modules = sorted(path for path in folder.rglob("*.py") if path.stem != "__init__")
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in modules]
    title = f"mogle_core.{package.replace('/', '.')}"
    return "\n\n".join([f"# {title}", purpose, *(f"::: {name}" for name in names)])


def on_page_markdown(markdown: str, page: Page, config: Any, files: Files) -> str:
    """Lead links to files that are no pages to the repository. A link to a file that is not there stays, and fails."""
    here = posixpath.dirname(page.file.src_uri)

    def led(match: re.Match[str]) -> str:
        text, target, anchor = match[1], match[2], match[3] or ""
        path = posixpath.normpath(posixpath.join(here, target))
        if "://" in target or files.get_file_from_path(path) or not (ROOT / path).exists():
            return match[0]
        kind = "tree" if (ROOT / path).is_dir() else "blob"
        return f"[{text}]({config.repo_url}/{kind}/main/{path}{anchor})"

    return _LINK.sub(led, markdown)


def on_nav(nav: Navigation, config: Any, files: Files) -> Navigation:
    """Titles that people read, in the order in which they are needed."""
    for item in nav.items:
        if item.is_section:
            item.title = {"Docs": "Guides", "Web": "Nodes", "Api": "API of mogle_core"}.get(item.title, item.title)
            if len(item.children) == 1 and item.children[0].is_section:
                item.children = item.children[0].children
    order = ["README.md", "Guides", "Nodes", "API of mogle_core"]
    nav.items.sort(key=lambda item: order.index(name) if (name := _name(item)) in order else len(order))
    return nav


def _name(item: Any) -> str:
    return item.file.src_uri if item.is_page else item.title
