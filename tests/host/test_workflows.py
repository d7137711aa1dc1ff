"""The example workflows in a running ComfyUI: its declarations of nodes, widgets, links and templates."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageChops
from support import hosts
from support.comfy_server import Server
from support.image_files import read_rgb
from support.templates import ALL, FULL, TOYS, template
from support.workflows import TYPES, Definition, Links, Node, Nodes, as_prompt, inputs_of, read, widgets
from torch import Tensor

from mogle_core.masks.decouple import decode_tensor
from mogle_core.masks.labels import CLASS_NAMES
from mogle_core.toy.install import files, install

MASK = hosts.REPOSITORY / "docs/mm_celeba_27000.png"
FILES = (".safetensors", ".pt", ".png")
SAVING = ("SaveImage", "SaveAnimatedWEBP")
INSTALLED = {target.name for _, target in files(Path())}


@pytest.fixture(params=ALL, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.fixture
def nodes(path: Path) -> Nodes:
    return read(path)[0]


@pytest.fixture
def links(path: Path) -> Links:
    return read(path)[1]


@pytest.fixture(scope="session")
def definitions(server: Server) -> dict[str, Definition]:
    return server.get("/object_info")


def is_allowed(kind: Any, options: dict[str, Any], value: Any) -> bool:
    """Whether the widget can hold the value. File names are not checked, because they depend on the user."""
    if isinstance(kind, list) or kind == "COMBO":
        return value in (kind if isinstance(kind, list) else options["options"]) or value.endswith(FILES)
    if isinstance(value, bool) != (kind == "BOOLEAN") or not isinstance(value, TYPES[kind]):
        return False
    if kind == "INT" and (value - options["min"]) % options.get("step", 1):
        return False
    return kind not in ("INT", "FLOAT") or options["min"] <= value <= options["max"]


def test_every_node_exists(nodes: Nodes, definitions: dict[str, Definition]) -> None:
    assert {node["type"] for node in nodes.values()} <= set(definitions)


def test_every_widget_holds_an_allowed_value(nodes: Nodes, definitions: dict[str, Definition]) -> None:
    for node in nodes.values():
        for name, kind, options, value in widgets(node, definitions[node["type"]]):
            assert is_allowed(kind, options, value), f"{node['type']}.{name} cannot be {value!r}"


def test_links_join_matching_types(nodes: Nodes, links: Links, definitions: dict[str, Definition]) -> None:
    for node in nodes.values():
        declared = inputs_of(definitions[node["type"]])
        for entry in node["inputs"]:
            kind, _ = declared[entry["name"]]
            assert entry["type"] == ("COMBO" if isinstance(kind, list) else kind)
            if entry["link"] is not None:
                source, output = links[entry["link"]]
                assert kind in (definitions[nodes[source]["type"]]["output"][output], "*")


def test_outputs_are_named_as_declared(nodes: Nodes, definitions: dict[str, Definition]) -> None:
    for node in nodes.values():
        saved = [(output["name"], output["type"]) for output in node["outputs"]]
        declared = definitions[node["type"]]
        if saved:  # newer hosts give SaveImage and PreviewImage an output, older ones none
            assert saved == list(zip(declared["output_name"], declared["output"], strict=True))


def is_obtainable(node: Node) -> bool:
    """Whether ComfyUI offers the file of this node for download, or `mogle toy install` installs it."""
    return bool(node["properties"].get("models") or INSTALLED & set(node["widgets_values"]))


@pytest.mark.parametrize("path", FULL, ids=lambda path: path.stem)
def test_only_model_files_are_missing(path: Path, definitions: dict[str, Definition], server: Server) -> None:
    """The server validates the whole workflow and runs the part without models: the previews of mask and sketch."""
    nodes, links = read(path)
    masks = [node["widgets_values"][0] for node in nodes.values() if node["type"] == "LoadImage"]
    assert [server.upload(MASK) for _ in masks] == masks
    prompt = as_prompt(nodes, links, definitions)
    answer = server.post("/prompt", {"prompt": prompt, "client_id": "tests"})
    for number, complaint in answer["node_errors"].items():
        assert is_obtainable(nodes[int(number)]), complaint
        assert {error["type"] for error in complaint["errors"]} <= {
            "value_not_in_list",
            "custom_validation_failed",
        }
    outputs = server.wait_for(answer["prompt_id"])
    first, *_ = [number for number, node in nodes.items() if node["type"] == "PreviewImage"]
    shown = Image.open(io.BytesIO(server.picture(outputs[str(first)]["images"][0])))
    if not masks:  # it is painted, in the workflow
        assert len({colour for _, colour in shown.convert("RGB").getcolors()}) > 5
        return
    assert ImageChops.difference(shown.convert("RGB"), Image.open(MASK).convert("RGB")).getbbox() is None


@pytest.fixture(scope="module")
def stocked(server: Server) -> Server:
    """The server after `mogle toy install`."""
    install(server.base, force=True)
    return server


@pytest.mark.parametrize("path", TOYS, ids=lambda path: path.stem)
def test_a_toy_template_runs_and_makes_its_images(path: Path, stocked: Server) -> None:
    """As installed, without changes. Each node that shows or saves images has some."""
    nodes, links = read(path)
    outputs = stocked.run(as_prompt(nodes, links, stocked.get("/object_info")))
    shows = [number for number, node in nodes.items() if node["type"] in (*SAVING, "PreviewImage", "MoGLEGateMaps")]
    assert any(nodes[number]["type"] in SAVING for number in shows)
    for number in shows:
        for entry in outputs[str(number)]["images"]:
            picture = read_rgb(stocked.picture(entry))
            assert picture.getcolors(3) is None, f"node {number} of {path.stem} shows nothing"


TOY_FILES = {
    "unet_name": "toy_flux.safetensors",
    "vae_name": "toy_vae.safetensors",
    "mogle_name": "toy_mogle.safetensors",
    "lora_name": "toy_mogle.safetensors",
}


def on_the_toy(prompt: dict[str, Any]) -> dict[str, Any]:
    """The workflow with the toy's files, a quarter of the size and two steps: what FLUX.1 would compute, in seconds."""
    for node in prompt.values():
        inputs = node["inputs"]
        inputs |= {name: file for name, file in TOY_FILES.items() if name in inputs}
        inputs |= {side: inputs[side] // 4 for side in ("width", "height") if isinstance(inputs.get(side), int)}
        if "steps" in inputs:
            inputs["steps"] = 2
        if node["class_type"] == "CLIPTextEncode":
            node |= {"class_type": "MoGLEToyPrompt", "inputs": {"text": inputs["text"], "guidance": 1.0}}
    return {number: node for number, node in prompt.items() if node["class_type"] != "DualCLIPLoader"}


@pytest.mark.parametrize("path", [path for path in FULL if "ControlNet" not in path.stem], ids=lambda path: path.stem)
def test_a_template_for_flux_runs_with_the_toys_files(path: Path, stocked: Server) -> None:
    """All of them except the one with a ControlNet: the toy has none."""
    nodes, links = read(path)
    outputs = stocked.run(on_the_toy(as_prompt(nodes, links, stocked.get("/object_info"))))
    (saved,) = [number for number, node in nodes.items() if node["type"] == "SaveImage"]
    picture = Image.open(io.BytesIO(stocked.picture(outputs[str(saved)]["images"][0])))
    assert picture.size == ((256, 256) if "Two passes" in path.stem else (128, 128))
    assert picture.convert("RGB").getcolors(3) is None


def test_from_a_photo_to_a_new_face_in_it(stocked: Server) -> None:
    """Photo, align, parse, edit, paint, generate, score, paste back: one workflow, and the output of each step."""
    nodes, links = read(template("Photo to portrait"))
    number = {node["type"]: str(key) for key, node in nodes.items()}
    prompt = as_prompt(nodes, links, stocked.get("/object_info"))
    prompt["watch"] = {"class_type": "PreviewAny", "inputs": {"source": [number["MoGLEMaskScore"], 0]}}
    prompt["mask"] = {"class_type": "PreviewImage", "inputs": {"images": [number["MoGLEMaskPainter"], 0]}}
    prompt["photo"] = {"class_type": "PreviewImage", "inputs": {"images": [number["LoadImage"], 0]}}
    outputs = stocked.run(prompt)

    def picture(node: str) -> Tensor:
        image = read_rgb(stocked.picture(outputs[node]["images"][0]))
        return torch.from_numpy(np.array(image)).float() / 255

    photo, result = picture("photo"), picture(number["SaveImage"])
    assert photo.shape == result.shape == (208, 256, 3)
    changed = (photo - result).abs().amax(-1) > 0.1
    assert 0.02 < float(changed.float().mean()) < 0.6
    assert not changed[:8].any() and not changed[:, :8].any()  # far from the face, the photo is as it was
    assert float(outputs["watch"]["text"][0]) > 0.5
    assert (decode_tensor(picture("mask")[None]).ids == CLASS_NAMES.index("eye_g")).any()  # the edit came through


def test_the_template_is_served(path: Path, server: Server) -> None:
    assert path.stem in server.get("/workflow_templates")["ComfyUI-MoGLE"]
    address = f"/api/workflow_templates/ComfyUI-MoGLE/{path.stem}"
    assert server.get(f"{address}.json") == json.loads(path.read_text("utf-8"))
    assert Image.open(io.BytesIO(server.fetch(f"{address}.jpg"))).format == "JPEG"


def test_help_pages_are_served(server: Server, definitions: dict[str, Definition]) -> None:
    """Each page mentions every input and output."""
    own = {name: node for name, node in definitions.items() if node["category"] == "MoGLE"}
    assert own
    for name, definition in own.items():
        page = server.fetch(f"/extensions/ComfyUI-MoGLE/docs/{name}.md").decode()
        for slot in [*inputs_of(definition), *definition["output_name"]]:
            assert f"`{slot}`" in page, f"{name}.md does not mention {slot}"
