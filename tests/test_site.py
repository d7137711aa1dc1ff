"""The documentation: every link inside the repository leads somewhere, and the site builds without a warning."""

from __future__ import annotations

import os
import posixpath
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from support import shipped
from support.places import REPOSITORY

PAGES = [path for path in shipped.tracked() if path.endswith(".md") and not path.startswith((".github/", "tests/"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.mark.parametrize("page", PAGES)
def test_every_link_to_a_file_of_the_repository_leads_to_one(page: str) -> None:
    text = (REPOSITORY / page).read_text("utf-8")
    for target in LINK.findall(re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        parts = urlsplit(target)
        if parts.scheme or not parts.path:
            continue
        place = REPOSITORY / posixpath.normpath(posixpath.join(posixpath.dirname(page), unquote(parts.path)))
        assert place.exists(), target


class Links(HTMLParser):
    """The links and pictures of a page, and its anchors."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found: list[str] = []
        self.anchors: set[str] = set()
        self.feed(page.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.found.append(value)
            elif name == "id" and value:
                self.anchors.add(value)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocs", reason="the extra docs is not installed")
    folder = tmp_path_factory.mktemp("site")
    # Not --quiet: what it silences, --strict does not count.
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stdout + done.stderr
    return folder


@pytest.mark.slow
def test_the_site_has_every_page_and_no_broken_link(site: Path) -> None:
    pages = {page.relative_to(site): Links(page) for page in site.rglob("*.html")}
    for name in ("index.html", "docs/training/index.html", "web/docs/MoGLEMaskEdit/index.html", "api/masks/index.html"):
        assert Path(name) in pages
    broken = []
    for page, links in pages.items():
        if page.name == "404.html":  # its links begin at the site's address
            continue
        for link in links.found:
            parts = urlsplit(link)
            if parts.scheme or link.startswith("//") or not (parts.path or parts.fragment):
                continue
            place = Path(
                posixpath.normpath((page.parent / unquote(parts.path)).as_posix() if parts.path else page.as_posix())
            )
            target = place / "index.html" if (site / place).is_dir() else place
            known = pages.get(target)
            if (
                not (site / target).is_file()
                or parts.fragment
                and known
                and unquote(parts.fragment) not in known.anchors
            ):
                broken.append((str(page), link))
    assert broken == []


@pytest.mark.slow
def test_the_api_is_that_of_the_docstrings(site: Path) -> None:
    page = (site / "api/masks/index.html").read_text("utf-8")
    assert "decode_image" in page
    assert "Decode one stored picture of any PIL mode" in page
