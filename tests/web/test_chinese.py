"""The page in Chinese: nodes and settings use ComfyUI's translation files, the painter its own texts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

import pytest
from support import hosts
from support.browser import PAINTER, ComfyPage

NODES = json.loads((hosts.REPOSITORY / "locales/zh/nodeDefs.json").read_text("utf-8"))
# Keys, formats and names that are the same in every language.
KEPT = re.compile(
    r"\b(Ctrl|Shift|Alt|Enter|Esc|F1|PageUp|PageDown|[A-Z]|PNG|MoGLE|tokens?|x"
    r"|auto|celebamask|farl|bisenet|lapa|mediapipe|ibugmask|easyportrait|facesynthetics|helen|e4s)\b"
)
# All that the editor shows or says to a screen reader.
SHOWN = """[...editor.page.document.querySelectorAll("body *")].flatMap((element) => [
    ...["aria-label", "title", "placeholder"].map((name) => element.getAttribute(name)),
    ...[...element.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data),
]).filter(Boolean)"""


@pytest.fixture(scope="module")
def chinese(vue: bool, visit: Callable[[bool, str], ComfyPage]) -> Iterator[ComfyPage]:
    comfy = visit(vue, "zh")
    yield comfy
    comfy.leave()


def test_every_node_input_and_output_is_named_in_chinese(chinese: ComfyPage) -> None:
    """In the display only. Workflows still store the original names."""
    shown = chinese.js(
        """given.map((type) => {
        const node = LiteGraph.createNode(type);
        const named = (slot) => [slot.name, slot.label ?? slot.localized_name ?? slot.name];
        const both = [...node.inputs ?? [], ...node.widgets ?? []].map(named);
        return [node.title, Object.fromEntries(both), (node.outputs ?? []).map((slot) => named(slot)[1])];
    })""",
        list(NODES),
    )
    for (name, texts), (title, inputs, outputs) in zip(NODES.items(), shown, strict=True):
        assert title == texts["display_name"]
        wanted = {slot: text["name"] for slot, text in texts["inputs"].items()}
        assert {slot: inputs.get(slot) for slot in wanted} == wanted, name
        assert outputs == [text["name"] for text in texts["outputs"].values()]


def assert_no_english(texts: list[str]) -> None:
    assert texts and [text for text in texts if re.search("[A-Za-z]{2}", KEPT.sub("", text))] == []


def test_the_painter_speaks_chinese(chinese: ComfyPage) -> None:
    """The card, the editor with advice, its dialogs, and its messages."""
    chinese.page.get_by_text("还没有画任何东西").first.wait_for()
    chinese.page.get_by_role("button", name="绘制：打开编辑器").first.click()
    editor = chinese.editor
    editor.canvas.wait_for()
    assert_no_english(editor.js(SHOWN))  # with the window of the starts, which a new painting opens
    editor.button("空白").click()
    editor.frame.locator("dialog").wait_for(state="detached")
    editor.empty()
    editor.box(4, 5, 20, 20, 20)
    editor.box(5, 40, 20, 20, 20)
    editor.box(15, 30, 50, 3, 3)
    editor.frame.get_by_text("左右眼睛画反了").first.wait_for()
    editor.keys("Shift+o", "?")
    editor.frame.locator("dialog.help").wait_for()
    assert_no_english(editor.js(SHOWN))
    assert editor.js("[editor.page.document.documentElement.lang, editor.page.document.title]") == ["zh", "蒙版画板"]
    editor.keys("Escape")
    editor.frame.locator("dialog").wait_for(state="detached")
    editor.keys("Control+z")
    assert editor.frame.locator(".message").inner_text() == "已撤销：矩形"
    editor.button("完成").click()
    editor.wait_until_closed()
    chinese.page.get_by_text("64 × 64，3 个类别").first.wait_for()
    chinese.page.wait_for_timeout(1500)  # the frontend writes its draft a little later
    chinese.reload()  # the words are there before the nodes of the last workflow are
    chinese.page.get_by_text("64 × 64，3 个类别").first.wait_for()
    assert chinese.js(f"{PAINTER}.title") == "蒙版画板"


def test_the_setting_is_named_in_chinese(chinese: ComfyPage) -> None:
    chinese.command("Comfy.ShowSettingsDialog")
    chinese.page.get_by_role("dialog").get_by_text("MoGLE", exact=True).first.click()
    for text in ("蒙版画板", "色盲友好配色"):
        chinese.page.get_by_role("dialog").get_by_text(text).first.wait_for()
    chinese.keys("Escape")
