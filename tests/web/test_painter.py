"""The painter in ComfyUI's page: the painting is queued, shown and named, in each renderer."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
import torch
from PIL import Image
from support.browser import NOTHING, PAINTER, ComfyPage, wait_until
from support.editing import EDITOR
from torch import Tensor

from mogle_core.masks.decode import decode_image
from mogle_core.masks.decouple import index_image
from mogle_core.masks.painting import write_painting

SIDE = 512


def stroke(ids: Tensor, a: tuple[float, float], b: tuple[float, float], size: int, class_id: int) -> None:
    """By definition: every pixel whose centre is at most half a brush away from the path of the brush's centre."""
    (ax, ay), (bx, by) = ((math.floor(x) + 0.5, math.floor(y) + 0.5) for x, y in (a, b))
    y, x = torch.meshgrid(*(torch.arange(side) + 0.5 for side in ids.shape), indexing="ij")
    length = (bx - ax) ** 2 + (by - ay) ** 2
    along = (((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length).clamp(0, 1) if length else 0
    distance = ((x - ax - along * (bx - ax)) ** 2 + (y - ay - along * (by - ay)) ** 2).double()
    ids[distance <= size**2 / 4 + 1e-6] = class_id


def test_strokes_at_every_zoom_are_the_ids_that_come_back(comfy: ComfyPage) -> None:
    """At every zoom of the graph from which the editor opens, and of the editor's view."""
    expected = torch.zeros(SIDE, SIDE, dtype=torch.uint8)
    comfy.do_js(f"{PAINTER}.widgets[0].value = given", write_painting(expected))
    for zoom, class_id, size, start, end in (
        (0.35, 13, 31, (90, 120), (400, 300)),
        (1.0, 1, 9, (100, 300), (300, 340)),
        (1.7, 2, 1, (240, 200), (280, 330)),
    ):
        comfy.do_js("app.canvas.ds.scale = given; app.canvas.setDirty(true, true)", zoom)
        editor = comfy.edit()
        editor.zoom(zoom)
        editor.do("editor.classes.choose(given[0]); editor.brush.setSize(given[1]);", [class_id, size])
        editor.drag(start, end)
        stroke(expected, *(editor.under(editor.at(*place)) for place in (start, end)), size, class_id)
        assert torch.equal(editor.ids, expected), f"zoom {zoom}"
        editor.done()
        assert torch.equal(comfy.ids, expected)
    comfy.do_js("app.canvas.ds.scale = 1; app.canvas.setDirty(true, true)")

    (saved,) = next(output["images"] for output in comfy.queue().values() if output.get("images"))
    picture = Image.open(io.BytesIO(comfy.server.picture(saved)))
    assert torch.equal(decode_image(picture).ids[0], expected)
    # The picture holds its workflow, and that the painting.
    assert comfy.value in picture.info["workflow"] and comfy.value in picture.info["prompt"]


def test_the_view_is_ready_before_the_page_draws_a_frame(comfy: ComfyPage) -> None:
    """On a loaded machine the size observer is late. What happens before it uses the view that stays."""
    comfy.do_js("window.observer = ResizeObserver; window.ResizeObserver = class { observe() {} disconnect() {} }")
    try:
        editor = comfy.edit()
        middle = [value / 2 for value in editor.js("[editor.page.canvas.clientWidth, editor.page.canvas.clientHeight]")]
        at = editor.js("editor.scene.view.toCanvas({ x: editor.sheet.width / 2, y: editor.sheet.height / 2 })")
        assert [at["x"], at["y"]] == pytest.approx(middle)
        editor.done()
    finally:
        comfy.do_js("window.ResizeObserver = window.observer")


def test_nonsense_is_a_message_and_an_empty_canvas(comfy: ComfyPage) -> None:
    value = comfy.value
    for nonsense in ("mogle1:512x512:AAAA", "a face", 7, {"ids": []}):
        comfy.do_js(f"{PAINTER}.widgets[0].value = given", nonsense)
        comfy.page.get_by_text("The canvas is empty").first.wait_for()
    editor = comfy.edit()
    editor.keys("Escape")
    assert not editor.ids.any()
    editor.done()
    comfy.do_js(f"{PAINTER}.widgets[0].value = given", value)
    assert comfy.value == value


def test_photo_and_mask_come_from_the_inputs(comfy: ComfyPage, tmp_path) -> None:
    ids = torch.zeros(64, 96, dtype=torch.uint8)
    ids[10:50, 20:70] = 13
    index_image(ids).save(tmp_path / "ids.png")
    Image.fromarray(np.full((64, 96, 3), 200, np.uint8)).save(tmp_path / "photo.png")
    for slot, name in (("image", "photo.png"), ("mask", "ids.png")):
        comfy.page.evaluate(
            f"""([slot, name]) => {{
                const load = LiteGraph.createNode('LoadImage');
                app.graph.add(load);
                load.pos = [-200, slot === 'mask' ? 500 : 100];
                load.widgets.find((one) => one.name === 'image').value = name;
                load.connect(0, {PAINTER}, {PAINTER}.inputs.findIndex((one) => one.name === slot));
            }}""",
            [slot, comfy.server.upload(tmp_path / name)],
        )
    comfy.do_js(f"{PAINTER}.widgets[0].value = ''")
    editor = comfy.edit()
    comfy.wait(f"{EDITOR}.photo.picture")
    assert torch.equal(editor.ids, ids)  # what the card shows is what opens
    editor.keys("n")
    editor.frame.get_by_label("Label space of the file or mask").select_option("celebamask")
    editor.button("Mask input").click()
    editor.frame.locator("dialog").wait_for(state="detached")
    assert torch.equal(editor.ids, ids)
    editor.done()
    comfy.do_js(f"{PAINTER}.widgets[0].value = ''")
    outputs = comfy.queue()
    (sent,) = [output for output in outputs.values() if "mogle_mask" in output]
    assert sent["mogle_mask"] == [write_painting(ids)] and sent["mogle_photo"]


def test_every_control_has_a_name(comfy: ComfyPage) -> None:
    editor = comfy.edit()
    editor.keys("n")
    unnamed = editor.js(
        "[...editor.page.document.querySelectorAll('button, input, select, canvas.stage')]"
        ".filter((one) => !one.getAttribute('aria-label') && !one.textContent.trim()).map((one) => one.outerHTML)"
    )
    assert unnamed == []
    editor.keys("Escape")
    editor.done()


def test_safe_colours_are_a_setting_and_change_the_display_only(comfy: ComfyPage) -> None:
    setting = "MoGLE.Painter.SafeColours"
    comfy.js(f"app.extensionManager.setting.set('{setting}', false)")
    value = write_painting(torch.full((64, 64), 13, dtype=torch.uint8))
    comfy.do_js(f"{PAINTER}.widgets[0].value = given", value)
    shown = f"[...{PAINTER}.widgets[0].element.querySelector('canvas').getContext('2d').getImageData(9, 9, 1, 1).data]"
    comfy.wait(f"{shown}.join() === '0,0,204,255'")
    editor = comfy.edit()
    editor.keys("c")
    editor.done()
    assert comfy.js(f"app.extensionManager.setting.get('{setting}')") is True
    comfy.wait(f"{shown}.join() === '0,0,155,255'")
    assert comfy.value == value
    wait_until(lambda: comfy.server.get("/settings").get(setting) is True)
    comfy.command("Comfy.ShowSettingsDialog")
    settings = comfy.page.get_by_role("dialog")
    settings.get_by_text("MoGLE", exact=True).click()
    settings.get_by_text("Colour-blind-safe colours").wait_for()
    settings.get_by_role("switch").click()
    comfy.wait(f"{shown}.join() === '0,0,204,255'")
    comfy.keys("Escape")
    settings.wait_for(state="detached")


def test_the_picture_in_the_node_keeps_its_height_and_lets_the_graph_move(comfy: ComfyPage) -> None:
    picture = comfy.page.locator(".mogle-painting canvas").first
    box = picture.bounding_box()
    assert box and box["height"] > 100 and box["width"] > 100
    place = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    comfy.page.mouse.move(*place)
    before = comfy.js("app.canvas.ds.scale")
    comfy.page.mouse.wheel(0, -100)
    comfy.wait(f"app.canvas.ds.scale > {before}")
    comfy.page.wait_for_timeout(300)
    one_notch = comfy.js("app.canvas.ds.scale")
    comfy.page.mouse.move(*NOTHING)
    comfy.page.mouse.wheel(0, 100)
    comfy.wait(f"Math.abs(app.canvas.ds.scale - {before}) < 0.01 * {before}")
    assert one_notch < 1.3 * before
    comfy.do_js("app.canvas.ds.scale = 1; app.canvas.ds.offset = [0, 0]; app.canvas.setDirty(true, true)")
    comfy.page.mouse.move(*place)
    comfy.page.mouse.down(button="middle")
    comfy.page.mouse.move(place[0] + 40, place[1] + 20, steps=4)
    comfy.page.mouse.up(button="middle")
    comfy.wait("Math.abs(app.canvas.ds.offset[0] - 40) < 2 && Math.abs(app.canvas.ds.offset[1] - 20) < 2")
    comfy.do_js("app.canvas.ds.offset = [0, 0]; app.canvas.setDirty(true, true)")


def test_how_long_a_stroke_takes(comfy: ComfyPage, record_property) -> None:
    """Reported, with a wide limit only, because the machine may be busy."""
    comfy.do_js(f"{PAINTER}.widgets[0].value = given", write_painting(torch.zeros(1024, 1024, dtype=torch.uint8)))
    editor = comfy.edit()
    moves, whole = editor.js("""(() => {
        const { performance } = editor.page.document.defaultView;
        const timed = (run) => { const start = performance.now(); run(); return performance.now() - start; };
        const median = (times) => times.sort((a, b) => a - b)[times.length >> 1];
        const looks = { ...editor.display, hidden: new Set(), solo: null };
        const draw = () => editor.scene.view.refresh(editor.sheet, looks);
        editor.brush.setSize(64);
        const [moves, strokes] = [[], []];
        for (let stroke = 0; stroke < 15; stroke++) {
            const at = (i) => ({ x: 100 + 8 * i, y: 60 * stroke + 100 * Math.sin(i / 9), pressure: 1 });
            editor.classes.choose(stroke % 18 + 1);
            const parts = [timed(() => editor.pen.press(at(0)))];
            for (let i = 1; i < 60; i++) parts.push(timed(() => { editor.pen.drag(at(i)); draw(); }));
            moves.push(parts.slice(1).reduce((a, b) => a + b) / 59);
            strokes.push(parts[0] + timed(() => editor.pen.lift(at(60))));
        }
        return [median(moves), median(strokes)];
    })()""")
    editor.done()
    record_property("median_ms_of_a_move", moves)
    record_property("median_ms_of_press_and_lift", whole)
    print(f"a stroke on 1024 x 1024: {moves:.2f} ms a move, {whole:.2f} ms to begin and end it")
    assert moves < 160 and whole < 400
