"""Keys and presses of a practised hand: straight lines, the stabiliser, the held region, fields, digits, protection."""

from __future__ import annotations

import pytest
import torch
from support.editing import EDITOR, Editor

SIZE = "Brush size in pixels, as a number"


def hold(editor: Editor, key: str, *points: tuple[float, float]) -> None:
    """A drag over the points, or a click on one, with the key held."""
    editor.page.keyboard.down(key)
    editor.drag(*points)
    editor.page.keyboard.up(key)


@pytest.mark.parametrize(("key", "left"), [("b", 26), ("e", 0)])
def test_a_click_with_shift_draws_a_straight_line(editor: Editor, key: str, left: int) -> None:
    if key == "e":
        editor.box(1, 5, 10, 26, 1)
    editor.keys(key)
    editor.click(5, 10)
    hold(editor, "Shift", (30, 10))
    assert editor.area(1) == left and bool((editor.ids[10, 5:31] == (left > 0)).all())
    if key == "b":
        hold(editor, "Shift", (30, 20))  # goes on from where the line ended
        assert editor.area(1) == 26 + 10
        editor.keys("Control+z", "Control+z")
        assert editor.area(1) == 1


def test_no_straight_line_comes_from_another_sheet(editor: Editor) -> None:
    editor.click(5, 5)
    editor.empty(128, 4)
    hold(editor, "Shift", (60, 60))
    assert editor.area(1) == 1


def test_the_stabiliser_smooths_a_trembling_hand(editor: Editor) -> None:
    tremble = [(5 + i, 30 + 2 * (-1) ** i) for i in range(50)]
    heights = []
    for steps in range(3):
        editor.empty()
        editor.do("editor.brush.steady = 0;")
        editor.keys(*["s"] * steps)
        editor.drag(*tremble)
        rows = (editor.ids == 1).any(1).nonzero()
        heights.append(int(rows.max() - rows.min()))
        assert editor.ids[28, 54] == 1 or editor.ids[32, 54] == 1, "it ends where the pointer was lifted"
    assert heights[0] == 4 and heights[2] <= heights[1] <= heights[0]
    inner = (editor.ids[:, 12:46] == 1).any(1).nonzero()
    assert int(inner.max() - inner.min()) <= 2
    editor.keys("s")
    assert editor.js("editor.brush.steady") == 0


def test_undo_takes_one_corner_of_a_polygon(editor: Editor) -> None:
    editor.click(60, 60)
    editor.keys("p")
    for corner in ((10, 10), (50, 10), (50, 30), (10, 30), (5, 60)):
        editor.click(*corner)
    editor.keys("Control+z", "Control+z", "Control+y")
    assert editor.js("editor.pen.tool.outline().length") == 4
    editor.keys("Enter")
    assert editor.area(1) == 40 * 20 + 1
    editor.keys("Control+z")
    for corner in ((10, 10), (50, 10)):
        editor.click(*corner)
    editor.keys(*["Control+z"] * 3)
    assert not editor.ids.any()
    editor.keys("Control+y")
    assert editor.area(1) == 1 and editor.js("editor.pen.hasBegun") is False


def test_select_all_remove_and_let_go(editor: Editor) -> None:
    for x in (5, 40):
        editor.box(2, x, 10, 10, 10)
    editor.keys("b", "Control+a")
    assert editor.js("editor.pen.transform.region.area") == 200 and editor.js("editor.pen.toolName") == "move"
    editor.keys("ArrowDown", "Control+d")
    assert editor.js("editor.pen.transform.region") is None and bool((editor.ids[11:21, 5:15] == 2).all())
    editor.click(45, 15)
    assert editor.js("editor.pen.transform.region.area") == 100
    editor.keys("Delete")
    assert editor.area(2) == 100 and not editor.ids[:, 32:].any()
    editor.click(8, 15)
    editor.keys("Backspace")
    assert not editor.ids.any()
    editor.keys("Control+z", "Control+z")
    assert editor.area(2) == 200
    editor.keys("Delete")
    editor.frame.get_by_text("Hold a region first").wait_for()


def test_a_drag_with_alt_copies_a_region(editor: Editor) -> None:
    editor.box(2, 5, 10, 10, 6)
    editor.keys("v")
    hold(editor, "Alt", (8, 12), (28, 12))
    hold(editor, "Alt", (28, 12), (48, 22))  # what is held leaves another copy
    editor.keys("Enter")
    expected = torch.zeros_like(editor.ids)
    for x, y in ((5, 10), (25, 10), (45, 20)):
        expected[y : y + 6, x : x + 10] = 2
    assert torch.equal(editor.ids, expected)
    editor.click(48, 22)
    hold(editor, "Alt", (48, 22), (20, 50))
    editor.keys("Delete")
    assert torch.equal(editor.ids, expected)


def test_enter_and_escape_leave_a_number_field(editor: Editor) -> None:
    field = editor.frame.get_by_label(SIZE)
    field.fill("9")
    field.press("Enter")
    is_on_canvas = "editor.page.document.activeElement === editor.page.canvas"
    assert editor.js(is_on_canvas) and editor.js("editor.brush.size") == 9
    field.fill("30")
    field.press("Escape")
    assert editor.js(is_on_canvas) and editor.js("editor.brush.size") == 9 and field.input_value() == "9"
    field.press("Control+a")
    field.press("4")  # the field's, as every key that edits its text
    assert field.input_value() == "4"
    editor.keys("Enter", "Control+z")
    assert editor.js("editor.brush.size") == 4


def test_a_click_that_leaves_a_field_paints_nothing(editor: Editor) -> None:
    for field in (editor.frame.get_by_label(SIZE), editor.frame.get_by_label("Search classes")):
        field.click()
        editor.click(30, 30)
        assert not editor.ids.any()
        assert editor.js("editor.page.document.activeElement === editor.page.canvas")
    editor.frame.get_by_label(SIZE).click()
    editor.drag((10, 10), (20, 10), (30, 10))  # a stroke is meant
    assert editor.area(1) == 21
    editor.click(30, 30)
    assert editor.area(1) == 22


def test_each_digit_chooses_a_class_at_once(editor: Editor) -> None:
    for keys, chosen in ((("1", "3"), 3), (("1", "Shift+3"), 13), (("Shift+8",), 18), (("Shift+0", "0"), 0)):
        editor.keys(*keys)
        assert editor.js("editor.classes.chosen") == chosen
    editor.keys("5", "Shift+9")
    assert editor.js("editor.classes.chosen") == 5


def test_painting_on_a_protected_class_is_answered(editor: Editor) -> None:
    editor.box(13, 0, 0, 32, 64)
    editor.keys("Shift+l", "2", "b")
    said = editor.frame.locator(".message")
    for points in (((10, 10),), ((50, 30), (40, 30), (20, 30))):
        editor.do("editor.page.say('');")
        editor.drag(*points)
        assert said.inner_text() == "hair is protected."
    assert editor.area(13) == 32 * 64
    editor.do("editor.page.say('');")
    editor.drag((40, 50), (50, 50))
    assert said.inner_text() == ""


def test_saving_completes_the_stroke_and_says_where_the_painting_is(editor: Editor) -> None:
    with editor.held((10, 10), (30, 10)):
        editor.keys("Control+s")
    editor.frame.get_by_text("which has no file yet").wait_for()
    assert editor.area(1) == 21


def test_saving_a_workflow_that_has_a_file(editor: Editor) -> None:
    """By ComfyUI's own command, of which this only looks whether it is called."""
    editor.page.evaluate("""() => {
        const { workflow, command } = app.extensionManager;
        window.before = { active: workflow.activeWorkflow, execute: command.execute };
        Object.defineProperty(workflow.activeWorkflow, 'isTemporary', { get: () => false, configurable: true });
        command.execute = async (id) => { window.ran = id; };
    }""")
    try:
        editor.keys("Control+s")
        editor.frame.get_by_text("The workflow is saved.").wait_for()
        assert editor.page.evaluate("() => window.ran") == "Comfy.SaveWorkflow"
    finally:
        editor.page.evaluate("""() => {
            delete window.before.active.isTemporary;
            app.extensionManager.command.execute = window.before.execute;
        }""")


def test_the_search_has_a_second_key(editor: Editor) -> None:
    editor.keys("Control+f")
    editor.page.keyboard.type("hat")
    editor.keys("Enter")
    assert editor.js("editor.classes.chosen") == 14
    editor.page.wait_for_function(f"() => {EDITOR}.page.document.activeElement === {EDITOR}.page.canvas")
