"""The translations as a server returns them: English equals the texts of the nodes, and all languages are served."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.comfy_server import Server
from support.english import LOCALES, english


@pytest.fixture(scope="module")
def own(server: Server) -> dict[str, Any]:
    return {name: node for name, node in server.get("/object_info").items() if node["category"] == "MoGLE"}


def stored(language: str, name: str = "nodeDefs") -> dict[str, Any]:
    return json.loads((LOCALES / language / f"{name}.json").read_text("utf-8"))


def test_english_is_what_the_nodes_say(own: dict[str, Any]) -> None:
    assert stored("en") == english(own), "Run python tests/shared/support/english.py, then translate."


@pytest.mark.parametrize("language", ["en", "zh"])
def test_each_language_is_served(server: Server, language: str) -> None:
    """The other files are merged into `main.json`."""
    rest = {name: stored(language, name) for name in ("nodeDefs", "settings")}
    assert server.get("/i18n")[language] == {**stored(language, "main"), **rest}


def test_every_node_can_be_found_by_other_words(own: dict[str, Any], server: Server) -> None:
    """On hosts with search aliases, from 0.11 on."""
    aliases = {name: definition.get("search_aliases") for name, definition in own.items()}
    if server.host.version >= (0, 11):
        assert all(aliases.values()), aliases


def test_the_painter_is_among_the_essentials(server: Server) -> None:
    """On hosts that have them; the others' schema has no such field."""
    painter = server.get("/object_info")["MoGLEMaskPainter"]
    assert painter.get("essentials_category") == ("Image Tools" if server.host.version >= (0, 33) else None)
