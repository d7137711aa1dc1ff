"""The translations: each language has every node, input, output and setting, and nothing else.

host/test_locales.py compares the English texts with the nodes, web/test_units.py those of the painter with the painter.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

LOCALES = Path(__file__).parents[1] / "locales"
LANGUAGES = sorted(path.name for path in LOCALES.iterdir())
# What vue-i18n reads as its own syntax: such a message would be shown torn, or not at all.
SYNTAX = re.compile(r"[{}@|$]")


def stored(language: str, name: str) -> dict[str, Any]:
    return json.loads((LOCALES / language / f"{name}.json").read_text("utf-8"))


def node_texts(language: str) -> dict[str, Any]:
    return stored(language, "nodeDefs")


def texts_for_the_host(language: str) -> dict[str, Any]:
    """All texts that ComfyUI itself shows. It only passes on those of the painter."""
    common = {key: value for key, value in stored(language, "main").items() if key != "MoGLE"}
    return {"nodeDefs": node_texts(language), "settings": stored(language, "settings"), **common}


def texts(value: Any) -> Iterator[str]:
    for inner in value.values():
        yield from [inner] if isinstance(inner, str) else texts(inner)


def shape(value: Any) -> Any:
    """All keys, nested."""
    return {key: shape(inner) for key, inner in value.items()} if isinstance(value, dict) else None


def test_english_and_simplified_chinese() -> None:
    assert {"en", "zh"} <= set(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_the_keys_of_english(language: str) -> None:
    assert shape(texts_for_the_host(language)) == shape(texts_for_the_host("en"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_can_be_displayed(language: str) -> None:
    shown = list(texts(texts_for_the_host(language)))
    assert all(text.strip() for text in shown)
    assert [text for text in shown if SYNTAX.search(text)] == []


def test_chinese_is_chinese() -> None:
    """Names of files and modes may stay; every tooltip and description is translated."""
    chinese, english = node_texts("zh"), node_texts("en")
    for name, node in chinese.items():
        slots = [*node["inputs"].values(), *node["outputs"].values()]
        for text in [node["display_name"], node["description"], *(slot["tooltip"] for slot in slots)]:
            assert re.search(r"[\u4e00-\u9fff]", text), f"{name}: {text}"
        assert node["display_name"] != english[name]["display_name"]


@pytest.mark.parametrize("language", sorted({*LANGUAGES} - {"en"}))
def test_the_painters_texts_have_the_placeholders_of_english(language: str) -> None:
    """The painter fills in what stands in braces."""
    for english, words in stored(language, "main")["MoGLE"]["painter"].items():
        assert words.strip()
        assert sorted(re.findall(r"\{\w+\}", words)) == sorted(re.findall(r"\{\w+\}", english)), english
