"""Every tool and every key of the editor, under a real mouse and real keys, on one page."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from browser import ComfyPage, Editor
from PIL import Image

from mogle_core.labels import FLIPPED, LABEL_SPACES, PALETTE

SIDE, ZOOM = 64, 8
TOOLS = (
    *("eraser", "line", "lasso", "rectangle", "ellipse", "polygon", "fill", "fillAll", "eyedropper", "move"),
    *("hand", "brush"),
)


@pytest.fixture(scope="module")
def page(visit) -> Iterator[ComfyPage]:
    comfy = visit(False)
    editor = comfy.edit()
    editor.button("Empty").click()
    yield comfy
    editor.done()
    comfy.page.close()
    assert comfy.complaints == []
    assert comfy.strangers == []


@pytest.fixture
def editor(page: ComfyPage) -> Editor:
    page.editor.empty(SIDE, ZOOM)
    return page.editor


def boxed(editor: Editor, class_id: int, x: int, y: int, width: int, height: int) -> None:
    """A rectangle by its tool."""
    editor.js("editor.choose(given)", class_id)
    editor.keys("r")
    editor.drag((x, y), (x + width - 1, y + height - 1))


def area(editor: Editor, class_id: int) -> int:
    return int((editor.ids == class_id).sum())


def test_brush_and_eraser(editor: Editor) -> None:
    editor.keys("b")
    editor.drag((10, 10), (30, 10))
    assert area(editor, 1) == 21 and bool((editor.ids[10, 10:31] == 1).all())
    editor.keys("e")
    editor.drag((15, 10), (20, 10))
    assert area(editor, 1) == 15


def test_the_size_of_the_brush(editor: Editor) -> None:
    editor.keys("]", "]", "[")
    assert editor.js("editor.size") == 2
    editor.frame.get_by_label("Brush size in pixels, as a number").fill("7")
    editor.keys("Enter")
    editor.canvas.focus()
    editor.click(30, 30)
    assert editor.ids[30, 27:34].tolist() == [1] * 7 and area(editor, 1) == 37


def test_line(editor: Editor) -> None:
    editor.keys("l")
    editor.drag((5, 5), (40, 40))
    assert bool((editor.ids.diagonal()[5:41] == 1).all()) and area(editor, 1) == 36


def test_lasso(editor: Editor) -> None:
    editor.keys("a")
    editor.drag((10, 10), (40, 10), (40, 30), (10, 30))
    assert area(editor, 1) == 30 * 20


def test_rectangle_and_shift(editor: Editor) -> None:
    boxed(editor, 3, 10, 12, 20, 8)
    assert area(editor, 3) == 160 and bool((editor.ids[12:20, 10:30] == 3).all())
    editor.page.keyboard.down("Shift")
    editor.drag((40, 30), (49, 35))
    editor.page.keyboard.up("Shift")
    assert area(editor, 3) == 260


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
    assert area(editor, 1) == 0
    editor.keys("Enter")
    assert area(editor, 1) == 40 * 20
    editor.click(5, 50)
    editor.keys("Escape")
    assert editor.js("editor.tool.outline().length") == 0


def test_fill_and_fill_all(editor: Editor) -> None:
    for x in (5, 40):
        boxed(editor, 2, x, 10, 10, 10)
    editor.js("editor.choose(6)")
    editor.keys("g")
    editor.click(8, 12)
    assert (area(editor, 2), area(editor, 6)) == (100, 100)
    editor.js("editor.choose(7)")
    editor.keys("Shift+g")
    editor.click(60, 60)
    assert area(editor, 0) == 0 and area(editor, 7) == SIDE**2 - 200


def test_eyedropper(editor: Editor) -> None:
    boxed(editor, 17, 10, 10, 10, 10)
    editor.keys("x", "i")
    editor.click(15, 15)
    assert editor.js("editor.classId") == 17
    editor.keys("b", "3")
    editor.page.keyboard.down("Alt")
    editor.click(15, 15)
    editor.page.keyboard.up("Alt")
    assert editor.js("editor.classId") == 17 and area(editor, 3) == 0


def test_move_scale_and_rotate(editor: Editor) -> None:
    boxed(editor, 1, 4, 4, 56, 56)
    boxed(editor, 2, 20, 20, 10, 6)
    editor.keys("v")
    editor.drag((25, 22), (35, 32))
    editor.keys("Enter")
    ids = editor.ids
    assert bool((ids[30:36, 30:40] == 2).all()) and area(editor, 2) == 60 and ids[22, 25] == 1
    editor.click(35, 32)
    editor.keys("ArrowRight", "Shift+ArrowUp", "Enter")
    assert bool((editor.ids[14:20, 31:41] == 2).all()) and area(editor, 2) == 60
    editor.click(35, 16)
    editor.keys(*["Control+ArrowUp"] * 8)
    assert area(editor, 2) > 75
    editor.keys("Escape")
    assert area(editor, 2) == 60
    editor.click(35, 16)
    for _ in range(6):
        editor.js("editor.pen.nudge([1, 0], 15, true)")
    editor.keys("Enter")
    assert area(editor, 2) == 60 and bool((editor.ids[12:22, 33:39] == 2).all())
    editor.keys("Control+z")
    assert bool((editor.ids[14:20, 31:41] == 2).all())


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
    boxed(editor, 13, 0, 0, 32, 64)
    editor.keys("Shift+o", "1", "b")
    editor.drag((20, 10), (50, 10))
    assert area(editor, 1) == 12
    assert "hair" in editor.frame.locator(".restriction").inner_text()
    editor.keys("Shift+u", "1", "3", "Shift+l", "2")
    editor.drag((20, 20), (50, 20))
    assert area(editor, 2) == 19
    editor.keys("Shift+u")


def test_hide_and_solo(editor: Editor) -> None:
    boxed(editor, 13, 0, 0, 64, 64)
    look = "[...editor.view.labels.getContext('2d').getImageData(5, 5, 1, 1).data]"
    drawn = "new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))"
    for key, alpha in (("Shift+h", 0), ("Shift+h", 255)):
        editor.keys(key)
        editor.js(drawn)
        assert editor.js(look)[3] == alpha
    editor.keys("2", "Shift+s")
    editor.js(drawn)
    assert editor.js(look)[3] < 255
    editor.keys("Shift+s")


def test_undo_and_redo_by_all_their_keys(editor: Editor) -> None:
    start = editor.ids
    for row in range(5, 45, 10):
        editor.drag((5, row), (30, row))
    painted = editor.ids
    editor.keys(*["Control+z"] * 4)
    assert torch.equal(editor.ids, start)
    editor.keys("Control+y", "Control+Shift+z", "Control+y", "Control+y")
    assert torch.equal(editor.ids, painted)


def test_classes_by_key_list_and_search(editor: Editor) -> None:
    editor.keys("1", "8")
    assert editor.js("editor.classId") == 18
    editor.page.wait_for_timeout(800)
    editor.keys("4", "x")
    assert editor.js("editor.classId") == 18
    editor.keys(".", ",")
    assert editor.js("editor.classId") == 18
    editor.keys("PageDown")
    assert editor.js("editor.classId") == 3
    editor.keys("/")
    editor.page.keyboard.type("necklace")
    editor.keys("Enter")
    assert editor.js("editor.classId") == 16
    editor.frame.get_by_role("radio", name="skin", exact=True).click()
    editor.keys("ArrowDown")
    assert editor.js("editor.classId") == 2
    assert editor.frame.get_by_role("radio", name="nose", exact=True).get_attribute("aria-checked") == "true"


def test_zoom_and_pan(editor: Editor) -> None:
    before = editor.js("editor.view.zoom")
    editor.keys("+")
    assert editor.js("editor.view.zoom") == pytest.approx(before * 1.25)
    editor.keys("-")
    assert editor.js("editor.view.zoom") == pytest.approx(before)
    place = editor.at(20, 20)
    under = editor.under(place)
    editor.page.mouse.move(*place)
    editor.page.mouse.wheel(0, -200)
    editor.page.wait_for_timeout(100)
    assert editor.js("editor.view.zoom") > before and editor.under(place) == pytest.approx(under)
    editor.keys("z")
    assert editor.js("editor.view.zoom") == 1
    editor.keys("f", "h")
    x = editor.js("editor.view.x")
    editor.drag((10, 10), (20, 10))
    assert editor.js("editor.view.x") > x
    editor.keys("b")
    editor.page.keyboard.down(" ")
    editor.drag((20, 10), (10, 10))
    editor.page.keyboard.up(" ")
    assert editor.js("editor.view.x") == pytest.approx(x, abs=1) and not editor.ids.any()


def test_view_switches(editor: Editor) -> None:
    for key, name in (("t", "Token grid"), ("c", "Colour-blind-safe colours"), ("Shift+b", None)):
        wish = {"t": "grid", "c": "distinct", "Shift+b": "pressure"}[key]
        before = editor.js(f"editor.wishes.{wish}")
        editor.keys(key)
        assert editor.js(f"editor.wishes.{wish}") is not before
        if name:
            assert editor.button(name).get_attribute("aria-pressed") == "true"
        editor.keys(key)
    share = editor.js("editor.wishes.photoShare")
    editor.keys(">", "<", "<")
    assert editor.js("editor.wishes.photoShare") == pytest.approx(share - 0.1)


def test_painting_by_keys_alone(editor: Editor) -> None:
    editor.js("editor.pen.point(null)")
    editor.keys("b", "Shift+ArrowLeft", "Enter", *["ArrowDown"] * 3, "Enter")
    assert editor.ids[SIDE // 2 : SIDE // 2 + 4, SIDE // 2 - 16].tolist() == [1] * 4 and area(editor, 1) == 4


def test_pen_pressure_and_a_resting_hand(editor: Editor) -> None:
    editor.js("editor.setSize(20)")
    event = """(() => {
        const [type, x, y, pressure, kind, id] = given;
        editor.canvas.dispatchEvent(new editor.document.defaultView.PointerEvent(type, {
            clientX: x, clientY: y, pressure, pointerType: kind, pointerId: id, button: 0, bubbles: true }));
    })()"""
    for x, pressure in ((16, 0.2), (48, 0.8)):
        place = editor.at(x, 32)
        editor.js(event, ["pointerdown", *place, pressure, "pen", 7])
        editor.js(event, ["pointerup", *place, 0, "pen", 7])
    thin, thick = ((editor.ids[:, half] == 1).sum() for half in (slice(0, 32), slice(32, 64)))
    assert 8 <= thin <= 18 and 180 <= thick <= 220
    before = editor.ids
    place = editor.at(30, 10)
    for kind in ("pointerdown", "pointermove", "pointerup"):
        editor.js(event, [kind, *place, 0.5, "touch", 9])
    assert torch.equal(editor.ids, before)
    editor.js("(editor.stage.hasPen = false)")


def test_two_fingers_zoom_and_paint_nothing(editor: Editor) -> None:
    event = """(() => {
        const [type, x, y, id] = given;
        editor.canvas.dispatchEvent(new editor.document.defaultView.PointerEvent(type, {
            clientX: x, clientY: y, pressure: 0.5, pointerType: 'touch', pointerId: id, button: 0, bubbles: true }));
    })()"""
    (ax, ay), (bx, by) = editor.at(20, 32), editor.at(40, 32)
    before = editor.js("editor.view.zoom")
    editor.js(event, ["pointerdown", ax, ay, 11])
    editor.js(event, ["pointerdown", bx, by, 12])
    editor.js(event, ["pointermove", bx + (bx - ax), by, 12])
    for finger in (11, 12):
        editor.js(event, ["pointerup", ax, ay, finger])
    assert editor.js("editor.view.zoom") == pytest.approx(2 * before, rel=0.02)
    assert not editor.ids.any()
    editor.zoom(ZOOM)
    editor.js(event, ["pointerdown", *editor.at(5, 5), 13])
    editor.js(event, ["pointerup", *editor.at(5, 5), 13])
    assert area(editor, 1) == 1


def test_start_from_a_face_and_sizes(editor: Editor) -> None:
    editor.keys("n")
    assert editor.frame.locator("button.face").count() == 12
    editor.frame.locator("button.face").first.click()
    editor.frame.locator("dialog").wait_for(state="detached")
    assert editor.ids.shape == (512, 512) and len(editor.ids.unique()) > 10
    editor.keys("n")
    editor.frame.get_by_label("Width in pixels").fill("100")
    editor.button("Empty").click()
    assert "multiples of 16" in editor.frame.locator(".complaint").inner_text()
    editor.frame.get_by_label("Width in pixels").fill("96")
    editor.frame.get_by_label("Height in pixels").fill("128")
    editor.button("Resize the painting").click()
    editor.frame.locator("dialog").wait_for(state="detached")
    assert editor.ids.shape == (128, 96) and len(editor.ids.unique()) > 8
    editor.keys("Control+z")
    assert editor.ids.shape == (512, 512)


@pytest.mark.parametrize("kind", ["ids", "colours", "farl"])
def test_start_from_a_file(editor: Editor, kind: str, tmp_path: Path) -> None:
    ids = np.zeros((48, 64), np.uint8)
    ids[8:40, 8:56] = 4
    picture = Image.fromarray(np.array(PALETTE, np.uint8)[ids]) if kind == "colours" else Image.fromarray(ids)
    picture.save(tmp_path / "mask.png")
    editor.keys("n")
    if kind == "farl":
        editor.frame.get_by_label("Label space").select_option("farl")
    with editor.page.expect_file_chooser() as chooser:
        editor.button("Mask file…").click()
    chooser.value.set_files(tmp_path / "mask.png")
    editor.frame.locator("dialog").wait_for(state="detached")
    expected = np.array(LABEL_SPACES["farl"], np.uint8)[ids] if kind == "farl" else ids
    assert torch.equal(editor.ids, torch.from_numpy(expected))


def test_a_file_that_is_no_mask_is_complained_about(editor: Editor, tmp_path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(tmp_path / "photo.png")
    editor.keys("n")
    with editor.page.expect_file_chooser() as chooser:
        editor.button("Mask file…").click()
    chooser.value.set_files(tmp_path / "photo.png")
    editor.frame.get_by_text("looks like a photo").wait_for()
    editor.keys("Escape")
    editor.frame.locator("dialog").wait_for(state="detached")


def test_photo_from_a_file(editor: Editor, tmp_path: Path) -> None:
    Image.new("RGB", (32, 32), (10, 200, 30)).save(tmp_path / "photo.png")
    with editor.page.expect_file_chooser() as chooser:
        editor.keys("Shift+p")
    chooser.value.set_files(tmp_path / "photo.png")
    editor.page.wait_for_function(
        "() => document.querySelector('iframe.mogle-painter-window').contentWindow.editor.photo.picture?.width === 32"
    )
    editor.keys("u")
    assert editor.js("editor.photo.shown") is None
    editor.js("(editor.photo.picture = null)")


@pytest.mark.parametrize(("keys", "mode"), [("Shift+i", "L"), ("Shift+e", "P")])
def test_export(editor: Editor, keys: str, mode: str) -> None:
    boxed(editor, 18, 8, 8, 20, 30)
    with editor.page.expect_download() as download:
        editor.keys(keys)
    picture = Image.open(io.BytesIO(Path(download.value.path()).read_bytes()))
    assert (picture.mode, picture.size) == (mode, (SIDE, SIDE))
    assert np.array_equal(np.array(picture), editor.ids.numpy())
    if mode == "P":
        assert np.array_equal(np.array(picture.convert("RGB")), np.array(PALETTE, np.uint8)[editor.ids.numpy()])


def test_advice_is_shown_and_mends(editor: Editor) -> None:
    boxed(editor, 4, 5, 20, 20, 20)
    boxed(editor, 5, 40, 20, 20, 20)
    boxed(editor, 15, 30, 50, 3, 3)
    editor.frame.get_by_text("Left and right eyes are swapped").wait_for()
    assert "skin" in editor.frame.locator(".about-missing").inner_text()
    editor.frame.get_by_role("button", name="Show: earring").click()
    assert editor.js("editor.spot.width") == 3
    editor.frame.get_by_role("button", name="Swap: Left and right eyes").click()
    assert editor.ids[25, 10] == 5 and editor.ids[25, 45] == 4


def test_help_lists_every_action(editor: Editor) -> None:
    editor.keys("?")
    text = editor.frame.locator("dialog").inner_text()
    assert all(word in text for word in ("Brush", "Mirror brush", "Export PNG", "Two fingers"))
    editor.keys("Escape")
    editor.frame.locator("dialog").wait_for(state="detached")
    editor.keys("F1", "Escape")


def test_every_button_does_what_its_key_does(editor: Editor) -> None:
    """Each tool by its button; the keys have been above."""
    for tool in TOOLS:
        editor.frame.locator(f"[data-action={tool}]").click()
        assert editor.js("editor.toolName") == tool


def test_escape_gives_up_what_is_begun(editor: Editor) -> None:
    editor.page.mouse.move(*editor.at(10, 10))
    editor.page.mouse.down()
    editor.page.mouse.move(*editor.at(30, 10))
    editor.keys("Escape")
    editor.page.mouse.up()
    assert not editor.ids.any()


def test_no_key_reaches_comfyui(editor: Editor) -> None:
    nodes = editor.page.evaluate("() => JSON.stringify(app.graph.serialize().nodes.map((node) => node.id))")
    editor.keys("Delete", "Backspace", "Control+a", "Delete", "q", "w", "r")
    assert editor.page.evaluate("() => app.graph.nodes.length") == len(json.loads(nodes))
    assert editor.page.locator("iframe.mogle-painter-window").count() == 1


def test_done_and_back(page: ComfyPage, editor: Editor) -> None:
    editor.drag((10, 10), (30, 10))
    ids = editor.ids
    editor.keys("Control+Enter")
    page.page.locator("iframe.mogle-painter-window").wait_for(state="detached")
    assert torch.equal(page.ids, ids)
    page.page.locator(".mogle-painting canvas").first.dblclick()
    page.editor.canvas.wait_for()
    assert torch.equal(page.editor.ids, ids)
