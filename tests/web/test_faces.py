"""Tools that know what a face is: pair brush, nudges, parts of other faces, and edges of the picture to follow."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from support.editing import EDITOR, SIDE, Editor

CIRCLE = """
const canvas = new OffscreenCanvas(256, 256);
const context = canvas.getContext('2d');
context.fillStyle = '#333';
context.fillRect(0, 0, 256, 256);
context.fillStyle = '#eee';
context.arc(128, 128, 80, 0, 7);
context.fill();
editor.photo.picture = canvas.transferToImageBitmap();
editor.photo.isOn = true;
"""


@pytest.fixture
def face(editor: Editor) -> Editor:
    """The first starter face on the sheet, to fit."""
    editor.keys("n")
    editor.frame.locator("button.face").first.click()
    editor.frame.locator("dialog").wait_for(state="detached")
    return editor


@pytest.fixture
def paired(editor: Editor) -> Iterator[Editor]:
    editor.keys("Shift+x")
    assert editor.js("editor.pair.isOn")
    yield editor
    editor.keys("Shift+x")
    assert not editor.js("editor.pair.isOn")


@pytest.mark.parametrize(("chosen", "left", "right"), [("4", 5, 4), ("5", 5, 4), ("6", 7, 6), ("9", 9, 8)])
def test_a_pair_is_painted_as_one_class(paired: Editor, chosen: str, left: int, right: int) -> None:
    """The person's right eye is at the picture's left. Without a face the sheet's middle divides."""
    paired.keys(chosen, "b")
    paired.drag((10, 20), (53, 20))
    ids = paired.ids
    assert ids[20, 10:32].tolist() == [left] * 22 and ids[20, 32:54].tolist() == [right] * 22


def test_the_pair_brush_takes_the_faces_middle_and_the_mouths(paired: Editor) -> None:
    paired.box(2, 40, 5, 10, 10)
    paired.box(10, 20, 50, 20, 4)
    paired.keys("4", "r")
    paired.drag((30, 20), (60, 24))
    assert set(paired.ids[22, 30:45].tolist()) == {5} and set(paired.ids[22, 45:61].tolist()) == {4}
    paired.keys("Shift+1", "r")
    paired.drag((10, 46), (15, 57))
    assert set(paired.ids[46:52, 12].tolist()) == {11} and set(paired.ids[52:58, 12].tolist()) == {12}
    paired.keys("v")
    paired.drag((58, 22), (20, 40))
    paired.keys("Enter")
    assert paired.ids[40, 20] == 4, "a moved eye stays the same eye"


def test_the_pair_brush_and_the_mirror(paired: Editor) -> None:
    paired.keys("m", "4", "b")
    paired.click(10, 20)
    paired.keys("m")
    assert paired.ids[20, 10] == 5 and paired.ids[20, SIDE - 11] == 4


def test_nudges_warp_the_face_and_are_one_step(face: Editor) -> None:
    before = face.ids
    face.keys("Shift+r")
    for name in ("Smile", "Eye size", "Brow height", "Hairline", "Face width"):
        steps = face.js("editor.sheet.history.done")
        slider = face.frame.get_by_label(name, exact=True)
        box = slider.bounding_box()
        assert box is not None
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        face.page.mouse.move(x, y)
        face.page.mouse.down()
        for part in (0.6, 0.7, 0.9):
            face.page.mouse.move(box["x"] + box["width"] * part, y)
        assert not torch.equal(face.ids, before), "it is seen while the slider moves"
        face.page.mouse.up()
        assert face.js("editor.sheet.history.done") == steps + 1 and slider.input_value() == "0"
        assert set(face.ids.unique().tolist()) == set(before.unique().tolist())
        face.page.keyboard.press("Escape")
        face.keys("Control+z")
        assert torch.equal(face.ids, before), name
    face.keys("Shift+r")
    assert face.frame.locator(".nudges").is_hidden()


def test_a_protected_class_is_not_nudged(face: Editor) -> None:
    before = face.ids
    face.keys("4", "Shift+l", "5", "Shift+l", "Shift+r")
    slider = face.frame.get_by_label("Eye size", exact=True)
    slider.focus()
    face.keys("Home")
    for eye in (4, 5):
        assert torch.equal(face.ids == eye, before == eye)
    face.keys("Escape", "Shift+r", "Shift+u")


def test_a_nudge_without_its_part_says_so(editor: Editor) -> None:
    editor.keys("Shift+r")
    editor.frame.get_by_label("Smile", exact=True).focus()
    editor.keys("End")
    editor.frame.get_by_text("Smile: the sheet has no such part.").wait_for()
    editor.keys("Escape", "Shift+r")
    assert not editor.ids.any()


@pytest.mark.parametrize(("kind", "title", "class_id"), [("Hats", "medium wavy hair, beanie", 14), ("Glasses", "", 3)])
def test_a_part_of_another_face(face: Editor, kind: str, title: str, class_id: int) -> None:
    before = face.ids
    face.keys("Shift+j")
    face.frame.get_by_role("button", name=kind, exact=True).click()
    faces = face.frame.locator("dialog.parts button.face")
    face.page.wait_for_function(f"() => {EDITOR}.page.document.querySelectorAll('dialog.parts button.face').length < 6")
    (faces.filter(has_text=title) if title else faces).first.click()
    face.frame.locator("dialog").wait_for(state="detached")
    after = face.ids
    assert (after == class_id).sum() > 500 and torch.equal(after == 12, before == 12)
    face.keys("Control+z")
    assert torch.equal(face.ids, before)


def test_a_part_that_cannot_be_fitted_is_a_sentence(editor: Editor) -> None:
    editor.box(1, 10, 10, 20, 20)
    editor.keys("Shift+j")
    editor.frame.locator("dialog.parts button.face").first.click()
    editor.frame.get_by_text("has no left eye").wait_for()
    editor.keys("Escape")
    editor.frame.locator("dialog").wait_for(state="detached")


def test_lasso_and_brush_follow_the_edges_of_the_photo(editor: Editor) -> None:
    """A disc of radius 20 in the middle of the sheet: the lasso that circles it roughly, and a brush at its rim."""
    editor.keys("Shift+a")
    editor.frame.get_by_text("There are no edges to follow yet").wait_for()
    editor.do(CIRCLE)
    angle, wave = torch.linspace(0, 6.2, 60), torch.arange(60) * 2.0
    radius = 20 + 2 * torch.sin(wave)
    rough = list(zip((32 + radius * angle.cos()).tolist(), (32 + radius * angle.sin()).tolist(), strict=True))
    y, x = torch.meshgrid(torch.arange(SIDE) + 0.5, torch.arange(SIDE) + 0.5, indexing="ij")
    disc = (x - 32) ** 2 + (y - 32) ** 2 < 20**2
    editor.keys("a")
    editor.drag(*rough)
    wrong = ((editor.ids == 1) != disc).sum()
    editor.keys("Control+z", "Shift+a")
    editor.drag(*rough)
    without = ((editor.ids == 1) != disc).sum()
    assert wrong < 0.1 * disc.sum() and wrong < without
    editor.keys("Control+z", "Shift+a", "b")
    editor.do("editor.brush.setSize(16);")
    editor.click(32, 16)
    painted = editor.ids == 1
    outside = (x - 32) ** 2 + (y - 32) ** 2 > 22**2
    assert painted.sum() > 60 and not (painted & outside).any()
    editor.keys("Control+z", "Shift+a")
    editor.click(32, 16)
    assert ((editor.ids == 1) & outside).any()
    editor.do("editor.photo.picture = null; editor.refresh();")
