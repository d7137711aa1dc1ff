"""The view under a touchpad and turned: what the pointer paints is below it at every angle."""

from __future__ import annotations

import math

import pytest
from support.editing import EDITOR, SIDE, Editor

VIEW = "editor.scene.view"


@pytest.fixture(autouse=True)
def straight(editor: Editor) -> None:
    editor.do("editor.scene.straighten();")
    editor.zoom(8)


def test_a_pinch_on_a_touchpad_zooms_where_the_pointer_is(editor: Editor) -> None:
    before = editor.js(f"{VIEW}.zoom")
    place = editor.at(20, 20)
    under = editor.under(place)
    editor.page.mouse.move(*place)
    editor.page.keyboard.down("Control")
    editor.page.mouse.wheel(0, -30)
    editor.page.keyboard.up("Control")
    editor.page.wait_for_function(f"() => {EDITOR}.scene.view.zoom > {before}")
    assert editor.js(f"{VIEW}.zoom") == pytest.approx(before * math.exp(0.3))
    assert editor.under(place) == pytest.approx(under)
    assert editor.page.evaluate("() => window.visualViewport.scale") == 1


def test_two_fingers_on_a_touchpad_pan(editor: Editor) -> None:
    x, y, zoom = editor.js(f"[{VIEW}.x, {VIEW}.y, {VIEW}.zoom]")
    editor.page.mouse.move(*editor.at(20, 20))
    editor.page.mouse.wheel(12, 7)
    editor.page.wait_for_function(f"() => Math.abs({EDITOR}.scene.view.x - {x} + 12) < 0.5")
    editor.page.mouse.wheel(0, 40)  # a whole number at the end of the same swipe
    editor.page.wait_for_function(f"() => Math.abs({EDITOR}.scene.view.y - {y} + 47) < 0.5")
    assert editor.js(f"{VIEW}.zoom") == zoom


def test_keys_turn_the_view_and_strokes_stay_below_the_pointer(editor: Editor) -> None:
    middle = editor.js(f"{VIEW}.toMap({{ clientX: given[0], clientY: given[1] }})", [400, 400])
    editor.keys("k", "k", "k")
    assert editor.js(f"{VIEW}.angle") == pytest.approx(math.pi / 4)
    assert editor.js(f"{VIEW}.toMap({{ clientX: given[0], clientY: given[1] }})", [400, 400]) != middle
    place = editor.js("""(() => {
        const { left, top } = editor.page.canvas.getBoundingClientRect();
        return [[10.5, 20.5], [50.5, 20.5]].map(([x, y]) => {
            const at = editor.scene.view.toCanvas({ x, y });
            return [left + at.x, top + at.y];
        });
    })()""")
    editor.page.mouse.move(*place[0])
    editor.page.mouse.down()
    editor.page.mouse.move(*place[1])
    editor.page.mouse.up()
    assert (editor.ids[20, 10:51] == 1).float().mean() > 0.9 and abs(editor.area(1) - 41) <= 2
    editor.keys("j", "Shift+k")
    assert editor.js(f"{VIEW}.angle") == 0
    editor.keys("k", "f")
    assert editor.js(f"{VIEW}.angle") == 0


def test_what_is_drawn_turns_with_the_view(editor: Editor) -> None:
    """A pixel of the canvas has the colour of the pixel of the map that lies there."""
    editor.box(1, 40, 5, 20, 20)
    for _ in range(7):
        editor.keys("k")
    shown = editor.js("""new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => {
        const { context, canvas } = editor.scene.view;
        const ratio = canvas.width / canvas.clientWidth;
        const at = editor.scene.view.toCanvas({ x: 50, y: 15 });
        resolve([...context.getImageData(at.x * ratio, at.y * ratio, 1, 1).data]);
    })))""")
    assert shown[:3] == [204, 0, 0]


def test_shift_and_space_turn_the_view_by_a_drag(editor: Editor) -> None:
    left, top, width, height = editor.js("""(() => {
        const box = editor.page.canvas.getBoundingClientRect();
        return [box.left, box.top, box.width, box.height];
    })()""")
    x, y = left + width / 2, top + height / 2
    editor.page.mouse.move(x + 100, y)
    editor.page.keyboard.down("Shift")
    editor.page.keyboard.down(" ")
    editor.page.mouse.down()
    editor.page.mouse.move(x + 100, y + 100)
    editor.page.mouse.up()
    editor.page.keyboard.up(" ")
    editor.page.keyboard.up("Shift")
    assert editor.js(f"{VIEW}.angle") == pytest.approx(math.pi / 4, abs=0.02) and not editor.ids.any()


def test_two_fingers_turn_the_view_and_a_pinch_keeps_it_straight(editor: Editor) -> None:
    middle = SIDE / 2
    editor.pointer("pointerdown", middle, middle, "touch", 21)
    editor.pointer("pointerdown", middle + 20, middle, "touch", 22)
    editor.pointer("pointermove", middle + 30, middle, "touch", 22)
    assert editor.js(f"{VIEW}.angle") == 0
    for step in range(1, 10):
        angle = step * math.pi / 18
        place = (middle + 20 * math.cos(angle), middle + 20 * math.sin(angle))
        at = editor.js("""(() => {
            const { left, top, width, height } = editor.page.canvas.getBoundingClientRect();
            return [left + width / 2, top + height / 2];
        })()""")
        event = {
            "clientX": at[0] + (place[0] - middle) * 8, "clientY": at[1] + (place[1] - middle) * 8,
            "pointerType": "touch", "pointerId": 22, "bubbles": True,
        }  # fmt: skip
        editor.do("""
            const { PointerEvent } = editor.page.document.defaultView;
            editor.page.canvas.dispatchEvent(new PointerEvent('pointermove', given));
            """, event)  # fmt: skip
    for finger in (21, 22):
        editor.pointer("pointerup", 0, 0, "touch", finger)
    assert 0.9 < editor.js(f"{VIEW}.angle") < math.pi / 2 and not editor.ids.any()
