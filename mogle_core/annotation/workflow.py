"""A ComfyUI workflow in which a person repairs one mask: it loads the photo, opens the painter and saves the mask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..dataset.reading import read_mask
from ..masks.painting import on_grid, write_painting

Node = dict[str, Any]


def repair_workflow(photo: str, mask: Path, accuracy: float) -> dict[str, Any]:
    """The workflow in the frontend's format. photo: its name in the input folder. accuracy: the parsers' agreement."""
    painting = write_painting(on_grid(read_mask(mask, "auto").ids[0]))
    nodes = [_note(photo, mask, accuracy), _photo(photo), _painter(painting), _saved(mask.stem)]
    return {
        "last_node_id": 4,
        "last_link_id": 2,
        "nodes": nodes,
        "links": [[1, 2, 0, 3, 1, "IMAGE"], [2, 3, 0, 4, 0, "IMAGE"]],
        "groups": [],
        "config": {},
        "extra": {},
        "version": 0.4,
    }


def _note(photo: str, mask: Path, accuracy: float) -> Node:
    text = (
        f"## Repair the mask of {Path(photo).name}\n\nTwo parsers agree on {accuracy:.1%} of its pixels. Open Mask "
        f"Painter, repair the regions, run the workflow, and put the saved picture in the place of {mask.name}.\n\n"
        f"The photo is looked for as `{photo}` in ComfyUI's folder `input`."
    )
    return _node(1, "MarkdownNote", (-400, 0), (380, 240), values=[text])


def _photo(photo: str) -> Node:
    outputs = [{"name": kind, "type": kind, "links": links} for kind, links in (("IMAGE", [1]), ("MASK", []))]
    return _node(2, "LoadImage", (0, 0), (340, 360), [_widget("image", "COMBO")], outputs, [photo, "image"])


def _painter(painting: str) -> Node:
    inputs: list[dict[str, Any]] = [
        _widget("painting", "MOGLE_PAINTING"),
        {"name": "image", "type": "IMAGE", "shape": 7, "link": 1},
        {"name": "mask", "type": "IMAGE", "shape": 7, "link": None},
    ]
    outputs = [{"name": name, "type": "IMAGE", "links": links} for name, links in (("mask", [2]), ("preview", []))]
    return _node(3, "MoGLEMaskPainter", (380, 0), (420, 520), inputs, outputs, [painting])


def _saved(name: str) -> Node:
    images: dict[str, Any] = {"name": "images", "type": "IMAGE", "link": 2}
    inputs = [images, _widget("filename_prefix", "STRING")]
    return _node(4, "SaveImage", (840, 0), (360, 360), inputs, values=[f"mogle_repair/{name}"])


def _widget(name: str, kind: str) -> dict[str, Any]:
    return {"name": name, "type": kind, "link": None, "widget": {"name": name}}


def _node(
    number: int,
    kind: str,
    place: tuple[int, int],
    size: tuple[int, int],
    inputs: list[dict[str, Any]] | None = None,
    outputs: list[dict[str, Any]] | None = None,
    values: list[Any] | None = None,
) -> Node:
    return {
        "id": number,
        "type": kind,
        "pos": list(place),
        "size": list(size),
        "flags": {},
        "order": number - 1,
        "mode": 0,
        "inputs": inputs or [],
        "outputs": outputs or [],
        "properties": {"Node name for S&R": kind},
        "widgets_values": values or [],
    }
