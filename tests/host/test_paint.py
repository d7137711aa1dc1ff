"""Mask Painter inside ComfyUI: it returns the painting, and says so if nothing is painted."""

from __future__ import annotations

import copy
import io
from typing import Any

import pytest
import torch
from PIL import Image
from support.comfy_server import PromptFailedError, Server

from mogle_core.masks.decouple import MaskError, colours
from mogle_core.masks.painting import write_painting


def ids(seed: int, height: int = 32, width: int = 48) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(19, (height, width), dtype=torch.uint8, generator=generator)


@pytest.fixture
def paint(comfy: Any) -> Any:
    return comfy.node("MoGLEMaskPainter")


def test_the_output_is_the_painting_in_palette_colours(paint: Any) -> None:
    mask, preview, _ = paint(painting=write_painting(ids(0)))
    assert torch.equal(mask, colours(ids(0)[None])) and torch.equal(preview, mask)


def test_a_painting_replaces_the_mask_that_it_started_from(paint: Any) -> None:
    given = colours(ids(1)[None])
    assert torch.equal(paint(painting=write_painting(ids(0)), mask=given)[0], colours(ids(0)[None]))
    assert torch.equal(paint(painting="", mask=given)[0], given)


def test_a_mask_keeps_its_size_and_its_batch(paint: Any) -> None:
    given = colours(torch.stack([ids(2, 33, 50), ids(3, 33, 50)]))
    assert torch.equal(paint(mask=given)[0], given)


def test_the_preview_is_half_photo(paint: Any) -> None:
    mask, preview, _ = paint(painting=write_painting(ids(0)), image=torch.full((1, 100, 150, 3), 0.5))
    assert torch.allclose(preview, (mask + 0.5) / 2, atol=1e-6)


@pytest.mark.parametrize(("height", "width", "box"), [(64, 64, (0, 32, 8, 40)), (20, 60, (8, 24, 0, 48))])
def test_a_photo_of_another_shape_is_not_stretched_in_the_preview(
    paint: Any, height: int, width: int, box: tuple[int, int, int, int]
) -> None:
    """It is as large as it fits, as in the editor; where it ends, the preview is half black."""
    photo = torch.ones(1, height, width, 3)
    mask, preview, _ = paint(painting=write_painting(ids(0)), image=photo)
    lain = torch.zeros(1, 32, 48, 3)
    top, bottom, left, right = box
    lain[:, top:bottom, left:right] = 1
    assert torch.allclose(preview, (mask + lain) / 2, atol=1e-6)
    given = colours(ids(1)[None])
    assert torch.allclose(paint(mask=given, image=photo)[1], (given + lain) / 2, atol=1e-6)


def test_an_empty_painting_blocks_the_nodes_behind_it(paint: Any) -> None:
    with pytest.raises(RuntimeError, match="Nothing is painted and no mask is connected"):
        paint()


def test_an_error_leads_with_the_bare_name_of_its_class(comfy: Any, paint: Any) -> None:
    """ComfyUI shows this name before the sentence; with a module it would begin with a path of the server."""
    from execution import full_type_name

    with pytest.raises(ValueError, match="^The painting begins with") as failure:
        paint(painting="nonsense")
    assert full_type_name(type(failure.value)) == "MaskError"
    assert isinstance(failure.value, comfy.module("mogle_core.masks.errors").MaskError)


def test_an_empty_painter_marks_itself_once_its_mask_is_used(server: Server) -> None:
    """Alone it runs, to bring a photo into the editor, also just before; the sentence comes first."""
    prompt = {"painter": {"class_type": "MoGLEMaskPainter", "inputs": {"painting": ""}}}
    server.run(prompt)
    prompt["shown"] = {"class_type": "PreviewImage", "inputs": {"images": ["painter", 0]}}
    for _ in range(2):
        with pytest.raises(PromptFailedError) as failure:
            server.run(prompt)
        assert failure.value.node_type == "MoGLEMaskPainter"
        assert failure.value.sentence.startswith("Nothing is painted and no mask is connected.")
    prompt["painter"]["inputs"]["painting"] = write_painting(ids(0))
    assert server.run(prompt)["shown"]["images"]


def test_only_an_empty_painter_is_marked_for_the_cache(comfy: Any) -> None:
    marked = comfy.module("nodes.host.painter_output").marked
    painter = {"class_type": "MoGLEMaskPainter", "inputs": {"painting": ""}}
    other = {"class_type": "PreviewImage", "inputs": {"images": ["1", 1]}}

    def inputs(*nodes: dict[str, Any]) -> dict[str, Any]:
        prompt = {str(number): copy.deepcopy(node) for number, node in enumerate(nodes, 1)}
        return marked({"prompt": prompt})["prompt"]["1"]["inputs"]

    unused = {"painting": "", "outputs_are_used": False, "sketch_is_used": False}
    assert inputs(painter) == unused
    assert inputs(painter, other) == {**unused, "outputs_are_used": True}
    sketch = {**other, "inputs": {"images": ["1", 2]}}
    assert inputs(painter, sketch) == {**unused, "sketch_is_used": True}
    drawing = write_painting(None, pencil(0))
    drawn = {**painter, "inputs": {"painting": drawing}}
    assert inputs(drawn, sketch) == {"painting": drawing, "outputs_are_used": False}
    assert inputs({**painter, "inputs": {"painting": "mogle1:"}}, other) == {"painting": "mogle1:"}


def test_the_page_receives_photo_and_mask(comfy: Any) -> None:
    for_page = comfy.module("nodes.paint")._for_page(
        torch.rand(2, 40, 40, 3), torch.stack([ids(4, 40, 40)]), torch.rand(1, 9, 9, 3)
    )
    ((photo,), (painting,), (sketch,)) = for_page.values()
    assert photo["type"] == sketch["type"] == "temp" and photo != sketch
    assert painting.startswith("mogle1:32x32:")  # 40 lies between 32 and 48


@pytest.mark.parametrize("text", ["nonsense", "mogle1:16x16:AAAA"])
def test_nonsense_is_refused_before_the_run(comfy: Any, text: str) -> None:
    node = comfy.module("nodes.paint").MaskPainter
    assert "painting" in node.validate_inputs(text)
    assert node.validate_inputs(None) is True and node.validate_inputs("") is True


def test_a_mask_file_is_read_as_everywhere(comfy: Any) -> None:
    read = comfy.module("nodes.host.routes").painting_of
    stored = io.BytesIO()
    Image.fromarray(ids(5).numpy()).save(stored, "PNG")
    assert read(stored.getvalue(), "celebamask")["painting"] == write_painting(ids(5))
    with pytest.raises(comfy.module("mogle_core.masks.decouple").MaskError, match="not a whole picture in PNG"):
        read(b"junk", "auto")
    assert issubclass(MaskError, ValueError)


def pencil(seed: int) -> torch.Tensor:
    return torch.randint(256, (32, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def test_the_sketch_is_the_pencil_drawing_white_on_black(paint: Any) -> None:
    mask, preview, sketch = paint(painting=write_painting(ids(0), pencil(1)))
    assert torch.equal(mask, colours(ids(0)[None])) and torch.equal(preview, mask)
    assert sketch.shape == (1, 32, 48, 3) and torch.equal(sketch[0, ..., 1], pencil(1) / 255)


def test_a_sketch_is_the_output_until_something_is_drawn(paint: Any) -> None:
    given = torch.rand(2, 64, 96, 3)
    assert torch.equal(paint(painting=write_painting(None, pencil(1)), sketch=given)[2][0, ..., 0], pencil(1) / 255)
    assert paint(painting=write_painting(ids(0)), sketch=given)[2].shape == (2, 32, 48, 3)
    same_size = torch.rand(1, 32, 48, 3)
    assert torch.allclose(paint(painting=write_painting(ids(0)), sketch=same_size)[2], same_size, atol=1e-6)
    assert not paint(painting=write_painting(ids(0)))[2].any()
    # Another shape: as large as it fits, with black borders.
    square = paint(painting=write_painting(ids(0)), sketch=torch.ones(1, 64, 64, 3))[2]
    assert square[:, :, 8:40].min() > 0.999 and not square[:, :, :8].any() and not square[:, :, 40:].any()


def test_a_pencil_drawing_without_a_map_runs_and_its_mask_is_missing(server: Server) -> None:
    prompt = {"painter": {"class_type": "MoGLEMaskPainter", "inputs": {"painting": write_painting(None, pencil(1))}}}
    for place in (2, 0, 2):
        prompt["shown"] = {"class_type": "PreviewImage", "inputs": {"images": ["painter", place]}}
        if place == 2:
            assert server.run(prompt)["shown"]["images"]
            continue
        with pytest.raises(PromptFailedError) as failure:
            server.run(prompt)
        assert failure.value.sentence.startswith("Nothing is painted and no mask is connected.")
    prompt["painter"]["inputs"]["painting"] = ""
    with pytest.raises(PromptFailedError) as failure:
        server.run(prompt)
    assert failure.value.node_type == "MoGLEMaskPainter"
    assert failure.value.sentence.startswith("Nothing is drawn and no sketch is connected.")
