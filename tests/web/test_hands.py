"""Input to the editor: keys, mouse, pen and fingers, and their effect on the view."""

from __future__ import annotations

import pytest
import torch
from support.editing import EDITOR, SIDE, WINDOW, ZOOM, Editor


def test_classes_by_key_list_and_search(editor: Editor) -> None:
    editor.keys("Shift+8")
    assert editor.js("editor.classes.chosen") == 18
    editor.keys("4", "x")
    assert editor.js("editor.classes.chosen") == 18
    editor.keys(".", ",")
    assert editor.js("editor.classes.chosen") == 18
    editor.keys("PageDown")
    assert editor.js("editor.classes.chosen") == 3
    editor.keys("PageUp")
    assert editor.js("editor.classes.chosen") == 18
    editor.keys("/")
    editor.page.keyboard.type("necklace")
    editor.keys("Enter")
    assert editor.js("editor.classes.chosen") == 16
    editor.frame.get_by_role("radio", name="skin", exact=True).click()
    assert editor.js("editor.classes.chosen") == 1
    editor.frame.get_by_role("radio", name="skin", exact=True).focus()
    editor.keys("ArrowDown")
    assert editor.js("editor.classes.chosen") == 2
    assert editor.frame.get_by_role("radio", name="nose", exact=True).get_attribute("aria-checked") == "true"


def test_hide_and_solo(editor: Editor) -> None:
    editor.box(13, 0, 0, 64, 64)
    look = "[...editor.scene.view.labels.getContext('2d').getImageData(5, 5, 1, 1).data]"
    drawn = "new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))"
    for alpha in (0, 255):
        editor.keys("Shift+h")
        editor.js(drawn)
        assert editor.js(look)[3] == alpha
    editor.keys("2", "Shift+s")
    editor.js(drawn)
    assert editor.js(look)[3] < 255
    editor.keys("Shift+s")


def test_zoom_and_pan(editor: Editor) -> None:
    zoom = "editor.scene.view.zoom"
    before = editor.js(zoom)
    editor.keys("+")
    assert editor.js(zoom) == pytest.approx(before * 1.25)
    editor.keys("-")
    assert editor.js(zoom) == pytest.approx(before)
    editor.keys("=")
    assert editor.js(zoom) == pytest.approx(before * 1.25)
    editor.keys("z")
    assert editor.js(zoom) == 1
    editor.keys("f")
    assert editor.js(zoom) > before


def test_the_wheel_zooms_pans_and_sizes_the_brush(editor: Editor) -> None:
    x, zoom = "editor.scene.view.x", "editor.scene.view.zoom"
    before = (editor.js(x), editor.js(zoom))
    place = editor.at(20, 20)
    under = editor.under(place)
    editor.page.mouse.move(*place)
    editor.page.mouse.wheel(0, -200)
    editor.page.wait_for_function(f"() => {EDITOR}.scene.view.zoom > {before[1]}")
    assert editor.under(place) == pytest.approx(under)
    editor.zoom(ZOOM)
    editor.page.keyboard.down("Shift")
    editor.page.mouse.wheel(0, 40)
    editor.page.keyboard.up("Shift")
    editor.page.wait_for_function(f"() => Math.abs({EDITOR}.scene.view.x - {before[0]} + 40) < 1")
    editor.page.keyboard.down("Alt")
    editor.page.mouse.wheel(0, -40)
    editor.page.keyboard.up("Alt")
    editor.page.wait_for_function(f"() => {EDITOR}.brush.size === 2")
    assert editor.js(zoom) == ZOOM


def test_the_hand_the_space_bar_and_the_middle_button_pan(editor: Editor) -> None:
    x = "editor.scene.view.x"
    before = editor.js(x)
    editor.keys("h")
    editor.drag((10, 10), (20, 10))
    assert editor.js(x) == pytest.approx(before + 10 * ZOOM, abs=1)
    editor.button("Brush").click()  # Space is the canvas's again, not the button's
    editor.page.keyboard.down(" ")
    editor.drag((20, 10), (10, 10))
    editor.page.keyboard.up(" ")
    assert editor.js(x) == pytest.approx(before, abs=1)
    editor.page.mouse.move(*editor.at(10, 10))
    editor.page.mouse.down(button="middle")
    editor.page.mouse.move(*editor.at(15, 10))
    editor.page.mouse.up(button="middle")
    assert editor.js(x) == pytest.approx(before + 5 * ZOOM, abs=1) and not editor.ids.any()


def test_view_switches(editor: Editor) -> None:
    def toggled(switch: str, name: str) -> None:
        assert editor.js(f"editor.{switch}") is (switch != "brush.pressure")
        if name:
            assert editor.button(name).get_attribute("aria-pressed") == "true"

    editor.keys("t")
    toggled("display.grid", "Token grid")
    editor.keys("t", "c")
    toggled("display.distinct", "Colour-blind-safe colours")
    editor.keys("c", "Shift+b")
    toggled("brush.pressure", "")
    editor.keys("Shift+b")
    share = editor.js("editor.photo.share")
    editor.keys(">", "<", "<")
    assert editor.js("editor.photo.share") == pytest.approx(share - 0.1)


def test_painting_by_keys_alone(editor: Editor) -> None:
    editor.keys("b", "Shift+ArrowLeft", "Enter", *["ArrowDown"] * 3, "Enter")
    assert editor.ids[SIDE // 2 : SIDE // 2 + 4, SIDE // 2 - 16].tolist() == [1] * 4 and editor.area(1) == 4


def test_pen_pressure_and_the_pens_other_end(editor: Editor) -> None:
    editor.do("editor.brush.setSize(20);")
    for x, pressure in ((16, 0.2), (48, 0.8)):
        editor.pointer("pointerdown", x, 32, "pen", 7, pressure)
        editor.pointer("pointerup", x, 32, "pen", 7, 0)
    thin, thick = ((editor.ids[:, half] == 1).sum() for half in (slice(0, 32), slice(32, 64)))
    assert 8 <= thin <= 18 and 180 <= thick <= 220
    editor.pointer("pointerdown", 48, 32, "pen", 7, 1, button=5, buttons=32)
    editor.pointer("pointerup", 48, 32, "pen", 7, 0, button=5)
    assert not editor.ids[:, 32:].any() and editor.js("editor.pen.toolName") == "brush"


def test_a_resting_hand_does_nothing(editor: Editor) -> None:
    editor.pointer("pointerdown", 50, 50, "touch", 9)
    editor.pointer("pointerdown", 10, 10, "pen", 7, 1)
    editor.pointer("pointerdown", 52, 54, "touch", 10)
    editor.pointer("pointermove", 54, 54, "touch", 9)
    editor.pointer("pointermove", 30, 10, "pen", 7, 1)
    editor.pointer("pointerup", 54, 54, "touch", 9)
    editor.pointer("pointerup", 30, 10, "pen", 7, 0)
    assert editor.ids[10, 10:31].tolist() == [1] * 21 and not editor.ids[40:].any()
    before = editor.ids
    for kind in ("pointerdown", "pointermove", "pointerup"):
        editor.pointer(kind, 30, 40, "touch", 9)
    assert torch.equal(editor.ids, before)
    editor.do("editor.pointers.hasPen = false;")


def test_two_fingers_zoom_and_paint_nothing(editor: Editor) -> None:
    before = editor.js("editor.scene.view.zoom")
    editor.pointer("pointerdown", 20, 32, "touch", 11)
    editor.pointer("pointerdown", 40, 32, "touch", 12)
    editor.pointer("pointermove", 60, 32, "touch", 12)
    for finger in (11, 12):
        editor.pointer("pointerup", 20, 32, "touch", finger)
    assert editor.js("editor.scene.view.zoom") == pytest.approx(2 * before, rel=0.02)
    assert not editor.ids.any()
    editor.zoom(ZOOM)
    editor.pointer("pointerdown", 5, 5, "touch", 13)
    editor.pointer("pointerup", 5, 5, "touch", 13)
    assert editor.area(1) == 1


@pytest.mark.parametrize(("by", "pixels"), [("pen", 21), ("touch", 0)])
def test_what_the_system_cancels(editor: Editor, by: str, pixels: int) -> None:
    """A touch that the system cancels paints nothing. A pen's stroke is never lost."""
    editor.do("editor.brush.pressure = false;")
    editor.pointer("pointerdown", 10, 10, by, 14)
    editor.pointer("pointermove", 30, 10, by, 14)
    editor.pointer("pointercancel", 30, 10, by, 14)
    assert editor.area(1) == pixels and editor.js("editor.pen.isDown") is False
    editor.do("editor.pointers.hasPen = false;")


@pytest.mark.parametrize("sign", ["lostpointercapture", "pointermove"])
def test_a_swallowed_release_ends_the_stroke_where_it_was(editor: Editor, sign: str) -> None:
    editor.pointer("pointerdown", 10, 10, "mouse", 15, buttons=1)
    editor.pointer("pointermove", 30, 10, "mouse", 15, buttons=1)
    editor.pointer(sign, 50, 50, "mouse", 15, buttons=0)
    assert editor.area(1) == 21 and editor.js("editor.sheet.history.done") > 0
    editor.pointer("pointermove", 5, 60, "mouse", 15, buttons=0)
    assert editor.area(1) == 21


def test_no_key_reaches_comfyui(editor: Editor) -> None:
    nodes = editor.page.evaluate("() => app.graph.nodes.length")
    editor.keys("Delete", "Backspace", "Control+a", "Delete", "q", "w", "r")
    editor.keys(*["Shift+Tab"] * 60, "Delete")
    assert editor.page.evaluate("() => app.graph.nodes.length") == nodes
    assert editor.page.locator(WINDOW).count() == 1
    assert editor.page.evaluate("() => ['IFRAME', 'BODY'].includes(document.activeElement.tagName)")
    editor.canvas.focus()


def test_help_lists_every_action(editor: Editor) -> None:
    editor.keys("?")
    text = editor.frame.locator("dialog").inner_text()
    assert all(word in text for word in ("Brush", "Mirror brush", "Export PNG", "Two fingers"))
    editor.keys("Escape")
    editor.frame.locator("dialog").wait_for(state="detached")
    editor.keys("F1", "Escape")
    editor.frame.locator("dialog").wait_for(state="detached")
