"""Every tool of the editor: the exact pixels that it paints, over which classes, and how it is undone."""

from __future__ import annotations

import pytest
import torch
from support.editing import SIDE, Editor

from mogle_core.masks.labels import FLIPPED


def test_brush_and_eraser(editor: Editor) -> None:
    editor.keys("b")
    editor.drag((10, 10), (30, 10))
    assert editor.area(1) == 21 and bool((editor.ids[10, 10:31] == 1).all())
    editor.keys("e")
    editor.drag((15, 10), (20, 10))
    assert editor.area(1) == 15


def test_the_size_of_the_brush(editor: Editor) -> None:
    editor.keys("]", "]", "[")
    assert editor.js("editor.brush.size") == 2
    editor.frame.get_by_label("Brush size in pixels, as a number").fill("7")
    editor.keys("Enter")
    editor.canvas.focus()
    editor.click(30, 30)
    assert editor.ids[30, 27:34].tolist() == [1] * 7 and editor.area(1) == 37


def test_line(editor: Editor) -> None:
    editor.keys("l")
    editor.drag((5, 5), (40, 40))
    assert bool((editor.ids.diagonal()[5:41] == 1).all()) and editor.area(1) == 36


def test_lasso(editor: Editor) -> None:
    editor.keys("a")
    editor.drag((10, 10), (40, 10), (40, 30), (10, 30))
    assert editor.area(1) == 30 * 20


def test_rectangle_with_shift_and_alt(editor: Editor) -> None:
    editor.box(3, 10, 12, 20, 8)
    assert editor.area(3) == 160 and bool((editor.ids[12:20, 10:30] == 3).all())
    for key, area in (("Shift", 100), ("Alt", 19 * 11)):
        editor.page.keyboard.down(key)
        editor.drag((40, 30), (49, 35))
        editor.page.keyboard.up(key)
        assert editor.area(3) == 160 + area
        editor.keys("Control+z")


def test_ellipse(editor: Editor) -> None:
    editor.keys("o")
    editor.drag((10, 10), (29, 19))
    ids = editor.ids
    assert bool((ids[14, 10:30] == 1).all()) and ids[10, 10] == 0
    assert torch.equal(ids[10:20, 10:30], ids[10:20, 10:30].flip(0).flip(1))


def test_polygon(editor: Editor) -> None:
    editor.keys("p")
    for corner in ((10, 10), (50, 10), (50, 30), (10, 30)):
        editor.click(*corner)
    assert editor.area(1) == 0
    editor.keys("Enter")
    assert editor.area(1) == 40 * 20
    editor.click(5, 50)
    editor.keys("Escape")
    assert editor.js("editor.pen.tool.outline().length") == 0


def test_fill_and_fill_all(editor: Editor) -> None:
    for x in (5, 40):
        editor.box(2, x, 10, 10, 10)
    editor.choose(6)
    editor.keys("g")
    editor.click(8, 12)
    assert (editor.area(2), editor.area(6)) == (100, 100)
    editor.choose(7)
    editor.keys("Shift+g")
    editor.click(60, 60)
    assert editor.area(0) == 0 and editor.area(7) == SIDE**2 - 200


def test_eyedropper(editor: Editor) -> None:
    editor.box(17, 10, 10, 10, 10)
    editor.keys("x", "i")
    editor.click(15, 15)
    assert editor.js("editor.classes.chosen") == 17
    editor.keys("b", "3")
    editor.page.keyboard.down("Alt")
    editor.click(15, 15)
    editor.page.keyboard.up("Alt")
    assert editor.js("editor.classes.chosen") == 17 and editor.area(3) == 0


def test_move_scale_and_rotate(editor: Editor) -> None:
    editor.box(1, 4, 4, 56, 56)
    editor.box(2, 20, 20, 10, 6)
    editor.keys("v")
    editor.drag((25, 22), (35, 32))
    editor.keys("Enter")
    ids = editor.ids
    assert bool((ids[30:36, 30:40] == 2).all()) and editor.area(2) == 60 and ids[22, 25] == 1
    editor.click(35, 32)
    editor.keys("ArrowRight", "Shift+ArrowUp", "Enter")
    assert bool((editor.ids[14:20, 31:41] == 2).all()) and editor.area(2) == 60
    editor.click(35, 16)
    editor.keys(*["Control+ArrowUp"] * 8)
    assert editor.area(2) > 75
    editor.keys("Escape")
    assert editor.area(2) == 60
    editor.click(35, 16)
    editor.keys(*["Control+ArrowRight"] * 90, "Enter")
    assert editor.area(2) == 60 and bool((editor.ids[12:22, 33:39] == 2).all())
    editor.keys("Control+z")
    assert bool((editor.ids[14:20, 31:41] == 2).all())


def test_handles_scale_and_turn_a_region(editor: Editor) -> None:
    editor.box(2, 20, 30, 10, 10)
    editor.keys("v")
    editor.click(25, 35)
    corner, turn = (editor.js(f"editor.pen.transform.handles()[{i}]") for i in (2, 4))
    editor.drag((corner["x"] - 0.5, corner["y"] - 0.5), (34.5, 44.5))
    assert editor.area(2) == 400 and bool((editor.ids[25:45, 15:35] == 2).all())
    editor.keys("Escape")
    editor.click(25, 35)
    editor.drag((turn["x"] - 0.5, turn["y"] - 0.5), (44.5, 34.5))
    assert editor.js("editor.pen.transform.pose.angle") == pytest.approx(torch.pi / 2, abs=0.05)
    editor.keys("Enter")


def test_mirror(editor: Editor) -> None:
    editor.keys("m", "4")
    editor.click(10, 20)
    assert editor.ids[20, 10] == 4 and editor.ids[20, SIDE - 11] == 5
    editor.page.mouse.move(*editor.at(20, 5))
    editor.keys("Shift+m")
    editor.click(24, 30)
    assert editor.ids[30, 24] == 4 and (editor.ids[30, :20] == 5).sum() == 1
    before = editor.ids
    editor.keys("m", "Shift+f")
    table = torch.tensor(FLIPPED, dtype=torch.uint8)
    assert torch.equal(editor.ids, table[before.flip(1).long()])


def test_paint_only_over_and_protect(editor: Editor) -> None:
    editor.box(13, 0, 0, 32, 64)
    editor.keys("Shift+o", "1", "b")
    editor.drag((20, 10), (50, 10))
    assert editor.area(1) == 12
    assert "hair" in editor.frame.locator(".restriction").inner_text()
    editor.keys("Shift+u", "Shift+3", "Shift+l", "2")
    editor.drag((20, 20), (50, 20))
    assert editor.area(2) == 19
    editor.keys("Shift+u")


def test_undo_and_redo_by_all_their_keys(editor: Editor) -> None:
    start = editor.ids
    for row in range(5, 45, 10):
        editor.drag((5, row), (30, row))
    painted = editor.ids
    editor.keys(*["Control+z"] * 4)
    assert torch.equal(editor.ids, start)
    editor.keys("Control+y", "Control+Shift+z", "Control+y", "Control+y")
    assert torch.equal(editor.ids, painted)


def test_escape_discards_unfinished_work(editor: Editor) -> None:
    with editor.held((10, 10), (30, 10)):
        editor.keys("Escape")
    assert not editor.ids.any()


def test_undo_during_a_stroke_discards_it_and_redo_stays(editor: Editor) -> None:
    editor.drag((5, 5), (20, 5))
    for key, pixels in (("Control+z", 16), ("Control+y", 16 + 21)):
        with editor.held((10, 10), (30, 10)):
            editor.page.keyboard.press(key)
        assert editor.area(1) == pixels


def test_changes_to_the_whole_map_complete_unfinished_work(editor: Editor) -> None:
    editor.keys("p")
    for corner in ((10, 10), (30, 10), (30, 30), (10, 30)):
        editor.click(*corner)
    editor.keys("Shift+f")
    assert editor.area(1) == 400 and not editor.ids[:, : SIDE // 2].any()


def test_another_tool_completes_unfinished_work(editor: Editor) -> None:
    with editor.held((10, 10), (30, 10)):
        editor.keys("p")
    assert editor.area(1) == 21
    for corner in ((10, 20), (50, 20), (50, 40)):
        editor.click(*corner)
    editor.keys("b")
    assert editor.area(1) > 21 + 300
    editor.keys("Control+z")
    assert editor.area(1) == 21


def test_every_tool_has_a_button(editor: Editor) -> None:
    buttons = editor.frame.locator("nav.tools [data-action]")
    for tool in [buttons.nth(i).get_attribute("data-action") for i in range(buttons.count())]:
        editor.frame.locator(f"nav.tools [data-action={tool}]").click()
        assert editor.js("editor.pen.toolName") == tool
