"""Workflows that were saved before the sockets of Gated Condition and Mask Painter moved: they load and run as then.

Each file holds a template as it was saved at that time, without its layout, and the picture that it made then, at half
its size. Links go by the name of the input, and widgets by their place. If the toy's weights change, make the pictures
again with code that still passes these tests with the old weights.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.comfy_server import Server
from support.image_files import read_rgb
from support.places import DATA
from support.workflows import as_prompt, inputs_of, is_widget, read

from mogle_core.toy.install import install

OLD = sorted((DATA / "workflows/before_the_sockets_moved").glob("*.json"))
DRAWN = [path for path in OLD if path.with_suffix(".png").exists()]


@pytest.fixture(scope="module")
def stocked(server: Server) -> Server:
    """The server after `mogle toy install --link`, which must leave the pictures inside the input folder."""
    install(server.base, link=True, force=True)
    return server


@pytest.mark.parametrize("path", OLD, ids=lambda path: path.stem)
def test_each_link_and_each_widget_has_a_place(path: Path, server: Server) -> None:
    definitions = server.get("/object_info")
    nodes, links = read(path)
    as_prompt(nodes, links, definitions)  # fails at a value without a widget
    for node in nodes.values():
        declared = inputs_of(definitions[node["type"]])
        for entry in node["inputs"]:
            source, output = links[entry["link"]]
            kind = declared[entry["name"]][0]
            assert is_widget(kind) or kind in (definitions[nodes[source]["type"]]["output"][output], "*")


@pytest.mark.parametrize("path", DRAWN, ids=lambda path: path.stem)
def test_it_makes_the_picture_that_it_made_then(path: Path, stocked: Server) -> None:
    nodes, links = read(path)
    outputs = stocked.run(as_prompt(nodes, links, stocked.get("/object_info")))
    portrait = min(number for number, node in nodes.items() if node["type"] == "SaveImage")
    picture = read_rgb(stocked.picture(outputs[str(portrait)]["images"][0]))
    made = np.array(picture.reduce(2), dtype=float)
    then = np.array(Image.open(path.with_suffix(".png")).convert("RGB"), dtype=float)
    assert made.shape == then.shape
    assert np.abs(made - then).mean() < 1.0 and np.abs(made - then).max() < 32  # of 255; hosts round otherwise
