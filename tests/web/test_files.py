"""What enters and leaves the editor: starting points, files, the photo, exports, advice, and closing it."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.browser import ComfyPage
from support.editing import EDITOR, Editor

from mogle_core.masks.labels import LABEL_SPACES, PALETTE


def test_start_from_a_face_and_sizes(editor: Editor) -> None:
    editor.keys("n")
    assert editor.frame.locator("button.face").count() == 12
    editor.frame.locator("button.face").first.click()
    editor.frame.locator("dialog").wait_for(state="detached")
    assert editor.ids.shape == (512, 512) and len(editor.ids.unique()) > 10
    editor.keys("n")
    editor.frame.get_by_label("Width in pixels").fill("100")
    editor.button("Empty").click()
    assert "multiples of 16" in editor.frame.locator(".problem").inner_text()
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
    if kind != "colours":  # one class is not enough to guess whose ids they are
        space = "farl" if kind == "farl" else "celebamask"
        editor.frame.get_by_label("Label space").select_option(space)
    with editor.page.expect_file_chooser() as chooser:
        editor.button("Mask file…").click()
    chooser.value.set_files(tmp_path / "mask.png")
    editor.frame.locator("dialog").wait_for(state="detached")
    expected = np.array(LABEL_SPACES["farl"], np.uint8)[ids] if kind == "farl" else ids
    assert torch.equal(editor.ids, torch.from_numpy(expected))


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("photo", "looks like a photo"),
        ("cut", "not a whole picture in PNG, JPEG, WEBP, BMP, TIFF or GIF (image file is truncated"),
        ("text", "the format is not recognised"),
    ],
)
def test_a_file_that_is_not_a_mask_is_refused(editor: Editor, tmp_path: Path, kind: str, sentence: str) -> None:
    file = tmp_path / "file.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(file)
    if kind != "photo":
        file.write_bytes(file.read_bytes()[:2000] if kind == "cut" else b"a face")
    editor.keys("n")
    with editor.page.expect_file_chooser() as chooser:
        editor.button("Mask file…").click()
    chooser.value.set_files(file)
    editor.frame.get_by_text(sentence).wait_for()
    editor.keys("Escape")
    editor.frame.locator("dialog").wait_for(state="detached")


def test_photo_from_a_file(editor: Editor, tmp_path: Path) -> None:
    Image.new("RGB", (32, 32), (10, 200, 30)).save(tmp_path / "photo.png")
    with editor.page.expect_file_chooser() as chooser:
        editor.keys("Shift+p")
    chooser.value.set_files(tmp_path / "photo.png")
    editor.page.wait_for_function(f"() => {EDITOR}.photo.picture?.width === 32")
    editor.keys("u")
    assert editor.js("editor.photo.shown") is None
    editor.do("editor.photo.picture = null;")


@pytest.mark.parametrize("by", ["drop", "paste"])
def test_a_picture_that_is_pasted_or_dropped(editor: Editor, by: str) -> None:
    """A label map becomes the painting, a photo the photo. Ids that could be anybody's are refused with a reason."""

    def give(picture: Image.Image) -> None:
        stored = io.BytesIO()
        picture.save(stored, "PNG")
        editor.do(
            """
            const data = new DataTransfer();
            data.items.add(new File([Uint8Array.from(given[1])], 'given.png', { type: 'image/png' }));
            const more = { bubbles: true, cancelable: true, dataTransfer: data, clipboardData: data };
            const { DragEvent, ClipboardEvent } = editor.page.document.defaultView;
            const event = given[0] === 'drop' ? new DragEvent('drop', more) : new ClipboardEvent('paste', more);
            editor.page.canvas.dispatchEvent(event);
            if (!event.defaultPrevented) throw new Error('the browser would open the file');
            """,
            [by, list(stored.getvalue())],
        )

    editor.do("editor.photo.picture = null;")
    ids = np.zeros((48, 64), np.uint8)
    ids[8:40, 8:56] = 4
    give(Image.fromarray(np.array(PALETTE, np.uint8)[ids]))
    editor.frame.get_by_text("The picture is a label map").wait_for()
    assert torch.equal(editor.ids, torch.from_numpy(ids)) and editor.js("editor.photo.picture") is None
    noise = np.random.default_rng(0).integers(0, 255, (32, 40, 3), np.uint8)
    give(Image.fromarray(noise))
    editor.page.wait_for_function(f"() => {EDITOR}.photo.picture?.width === 40")
    assert torch.equal(editor.ids, torch.from_numpy(ids))
    give(Image.fromarray(ids))
    editor.frame.locator(".message", has_text="the label space").wait_for()
    assert editor.js("editor.photo.picture.width") == 40
    editor.keys("Control+z")
    assert not editor.ids.any()
    editor.do("editor.photo.picture = null;")


def test_export(editor: Editor) -> None:
    editor.box(18, 8, 8, 20, 30)
    editor.keys("c")  # the colours on the screen are not the file's
    with editor.page.expect_download() as ids:
        editor.keys("Shift+i")
    with editor.page.expect_download() as colours:
        editor.keys("Shift+e")
    editor.keys("c")
    grey, indexed = (Image.open(io.BytesIO(Path(file.value.path()).read_bytes())) for file in (ids, colours))
    assert (grey.mode, indexed.mode) == ("L", "P")
    for picture in (grey, indexed):
        assert np.array_equal(np.array(picture), editor.ids.numpy())
    assert np.array_equal(np.array(indexed.convert("RGB")), np.array(PALETTE, np.uint8)[editor.ids.numpy()])


def test_advice_is_shown_and_repairs(editor: Editor) -> None:
    editor.box(4, 5, 20, 20, 20)
    editor.box(5, 40, 20, 20, 20)
    editor.box(15, 30, 50, 3, 3)
    editor.box(15, 40, 50, 4, 4)
    editor.frame.get_by_text("Left and right eyes are swapped").wait_for()
    assert "skin" in editor.frame.locator(".about-missing").inner_text()
    show = editor.frame.get_by_role("button", name="Show: earring: 2 spots")
    for width in (3, 4, 3):
        show.click()
        assert editor.js("editor.scene.spot.width") == width
    editor.frame.get_by_role("button", name="Swap: Left and right eyes").click()
    assert editor.ids[25, 10] == 5 and editor.ids[25, 45] == 4


def test_done_and_back(page: ComfyPage, editor: Editor) -> None:
    editor.drag((10, 10), (30, 10))
    ids = editor.ids
    editor.keys("Control+Enter")
    editor.wait_until_closed()
    assert torch.equal(page.ids, ids)
    page.page.locator(".mogle-painting canvas").first.dblclick()
    page.editor.canvas.wait_for()
    assert torch.equal(page.editor.ids, ids)
