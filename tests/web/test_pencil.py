"""The pencil: lines in a plane over the map, its output, and what keeps them; unpainted sheets and their inputs."""

from __future__ import annotations

import pytest
import torch
from PIL import Image
from support.browser import PAINTER, ComfyPage
from support.editing import EDITOR, Editor
from support.image_files import read_rgb

from mogle_core.masks.decouple import colours
from mogle_core.masks.painting import read_planes, sketch_of, write_painting

CONNECT = """
    const load = LiteGraph.createNode('LoadImage');
    app.graph.add(load);
    load.pos = [-200, 400];
    load.widgets.find((one) => one.name === 'image').value = given.file;
    const painter = app.graph.nodes.find((node) => node.type === 'MoGLEMaskPainter');
    load.connect(0, painter, painter.inputs.findIndex((one) => one.name === given.input));
"""
CAPTION = f"{PAINTER}.widgets[0].element.querySelector('[role=status]').textContent"


@pytest.fixture(autouse=True)
def graph(comfy: ComfyPage) -> None:
    comfy.lay_out()


def give(comfy: ComfyPage, name: str, slot: str, picture: torch.Tensor) -> None:
    """Puts a picture (H, W, 3) into the server's input folder and connects Load Image with it."""
    file = comfy.server.base / "input" / name
    file.parent.mkdir(exist_ok=True)
    Image.fromarray((picture * 255).round().to(torch.uint8).numpy()).save(file)
    comfy.do_js(CONNECT, {"file": name, "input": slot})


def opened(comfy: ComfyPage) -> Editor:
    """The editor, without the window that offers a start if nothing is given."""
    editor = comfy.edit()
    comfy.page.wait_for_function(f"() => {EDITOR}")
    editor.do("Object.assign(editor.pencil, { strength: 1, share: 1 });")
    if editor.frame.get_by_role("dialog").count():
        editor.keys("Escape")
    return editor


def shown(comfy: ComfyPage, slot: int) -> torch.Tensor:
    """The picture that Save Image gets from one of the painter's outputs."""
    comfy.do_js(f"{PAINTER}.connect(given, app.graph.nodes.find((node) => node.type === 'SaveImage'), 0)", slot)
    (saved,) = next(output["images"] for output in comfy.queue().values() if output.get("images"))
    picture = read_rgb(comfy.server.picture(saved))
    return torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8).view(picture.height, picture.width, 3)


def mask_of(height: int, width: int, class_id: int = 13) -> torch.Tensor:
    ids = torch.zeros(height, width, dtype=torch.uint8)
    ids[16:-16, 16:-16] = class_id
    return ids


def test_lines_are_drawn_erased_hidden_and_come_out_white_on_black(comfy: ComfyPage) -> None:
    editor = opened(comfy)
    editor.empty(64, 6)
    editor.keys("d")
    assert editor.js("editor.brush.size") == 3
    editor.drag((10, 20), (50, 20))
    drawn = editor.pencil
    assert drawn is not None and drawn[20, 12:48].min() == 255 and not drawn[26:].any() and not editor.ids.any()
    editor.keys("Shift+d")
    editor.drag((30, 10), (30, 30))
    erased = editor.pencil
    assert erased is not None and not erased[20, 30] and erased[20, 12] == 255
    editor.keys("Control+z")
    assert torch.equal(editor.pencil, drawn)
    editor.keys("q")
    assert editor.js("editor.pencil.isShown") is False
    editor.keys("d")
    strength = editor.frame.get_by_label("Pencil strength in percent", exact=True)
    strength.fill("50")
    editor.frame.get_by_label("Opacity of the pencil lines in percent", exact=True).fill("40")
    editor.drag((10, 40), (50, 40))  # who draws sees the lines
    assert editor.js("[editor.pencil.isShown, editor.pencil.share]") == [True, 0.4]
    assert editor.pencil[40, 20] == 128
    editor.keys("b")
    assert editor.js("editor.brush.size") == 1
    editor.done()
    planes = read_planes(comfy.value)
    assert planes is not None and planes.pencil is not None and planes.pencil[40, 20] == 128
    assert torch.equal(shown(comfy, 2), (sketch_of(planes.pencil)[0] * 255).round().to(torch.uint8))
    editor = comfy.edit()
    assert torch.equal(editor.pencil, planes.pencil)
    editor.keys("Control+z", "Control+z")
    editor.done()
    assert comfy.value.startswith("mogle1:")


def test_a_drawing_without_a_map_leaves_the_mask_to_the_input(comfy: ComfyPage) -> None:
    ids = mask_of(64, 96)
    give(comfy, "pencil_mask.png", "mask", colours(ids[None])[0])
    comfy.wait(f"{CAPTION}.startsWith('96 × 64')")  # before the first run
    assert "from the mask input" in comfy.js(CAPTION)
    editor = opened(comfy)
    assert torch.equal(editor.ids, ids)
    editor.keys("d")
    editor.drag((20, 20), (60, 40))
    editor.done()
    assert comfy.value.startswith("mogle2:96x64::")
    assert torch.equal(shown(comfy, 0), (colours(ids[None])[0] * 255).round().to(torch.uint8))


def test_unpainted_stroke_undo_done_gives_the_connected_masks_picture(comfy: ComfyPage) -> None:
    ids = mask_of(96, 64)
    give(comfy, "unpainted.png", "mask", colours(ids[None])[0])
    wanted = (colours(ids[None])[0] * 255).round().to(torch.uint8)
    editor = opened(comfy)
    assert torch.equal(editor.ids, ids)
    editor.choose(2)
    editor.drag((20, 30), (40, 50))
    assert editor.area(2)
    editor.keys("Control+z")
    editor.done()
    comfy.wait_for_value("")
    assert torch.equal(shown(comfy, 0), wanted)
    # Painted it hides the input and says so; to follow it is one step, at any time.
    editor = opened(comfy)
    editor.keys("Control+y")
    editor.done()
    assert (comfy.ids == 2).any()
    comfy.wait(f"{CAPTION}.includes('hides the mask input')")
    editor = comfy.edit()
    editor.keys("Shift+n")
    comfy.page.wait_for_function(f"() => !{EDITOR}.sheet.map.isPainted")
    assert torch.equal(editor.ids, ids)
    editor.keys("Control+z")
    assert editor.area(2)
    editor.keys("Control+y")
    editor.done()
    comfy.wait_for_value("")


def test_a_photo_gives_the_sheet_its_size(comfy: ComfyPage) -> None:
    give(comfy, "photo_768.png", "image", torch.full((512, 768, 3), 0.5))
    editor = opened(comfy)
    assert editor.js("[editor.sheet.width, editor.sheet.height]") == [768, 512]
    editor.done()
    comfy.lay_out()
    give(comfy, "photo_1000.png", "image", torch.full((667, 1000, 3), 0.5))
    editor = opened(comfy)
    assert editor.js("[editor.sheet.width, editor.sheet.height]") == [1008, 672]
    editor.frame.get_by_text("The photo is 1000 × 667. The sheet is 1008 × 672").wait_for()
    editor.done()


def test_a_sketch_is_what_one_draws_on(comfy: ComfyPage) -> None:
    lines = torch.zeros(64, 64, 3)
    lines[30:33] = 1
    give(comfy, "sketch.png", "sketch", lines)
    comfy.do_js(f"{PAINTER}.widgets[0].value = given", write_painting(mask_of(64, 64)))
    comfy.wait(f"{CAPTION}.includes('sketch from the input')")
    editor = opened(comfy)
    assert editor.pencil is not None and editor.pencil[31].min() == 255 and not editor.pencil[20].any()
    editor.keys("d")
    editor.drag((10, 10), (50, 10))
    editor.done()
    planes = read_planes(comfy.value)
    assert planes is not None and planes.pencil is not None
    assert planes.pencil[31].min() == 255 and planes.pencil[10, 30] == 255
    comfy.wait(f"{CAPTION}.includes('hides the sketch input')")
