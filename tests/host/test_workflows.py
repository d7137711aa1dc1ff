"""The example workflows against a running ComfyUI: nodes, widgets, links and templates as it declares them."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hosts
import pytest
from comfy_server import Server
from PIL import Image, ImageChops

EXAMPLES = sorted((hosts.REPOSITORY / "example_workflows").glob("*.json"))
MASK = hosts.REPOSITORY / "docs/mm_celeba_27000.png"
FRONTEND_ONLY = {"MarkdownNote", "Note"}
TYPES = {"INT": (int,), "FLOAT": (int, float), "STRING": (str,), "BOOLEAN": (bool,)}
FILES = (".safetensors", ".pt", ".png")
# Values that the frontend saves after a widget's own, and which no definition lists.
AFTER_A_SEED, AFTER_AN_UPLOAD = {"fixed", "increment", "decrement", "randomize"}, {"image"}

Definition = dict[str, Any]
Node = dict[str, Any]


@pytest.fixture(params=EXAMPLES, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.fixture
def nodes(path: Path) -> dict[int, Node]:
    """The nodes that the server knows, by id."""
    found = json.loads(path.read_text("utf-8"))["nodes"]
    return {node["id"]: node for node in found if node["type"] not in FRONTEND_ONLY}


@pytest.fixture
def links(path: Path) -> dict[int, tuple[int, int]]:
    """Source node and output by link."""
    return {link[0]: (link[1], link[2]) for link in json.loads(path.read_text("utf-8"))["links"]}


@pytest.fixture(scope="session")
def definitions(server: Server) -> dict[str, Definition]:
    return server.get("/object_info")


def inputs_of(definition: Definition) -> dict[str, tuple[Any, dict[str, Any]]]:
    """Type (a list for an old combo) and options of each input, in the frontend's order."""
    named = definition["input"].get("required", {}) | definition["input"].get("optional", {})
    return {name: (spec[0], spec[1] if len(spec) > 1 else {}) for name, spec in named.items()}


def is_widget(kind: Any) -> bool:
    return isinstance(kind, list) or kind == "COMBO" or kind in TYPES


def widgets(node: Node, definition: Definition) -> Iterator[tuple[str, Any, dict[str, Any], Any]]:
    """(name, type, options, saved value) of each widget; the values that come between are checked and left out."""
    values = iter(node["widgets_values"])
    for name, (kind, options) in inputs_of(definition).items():
        if not is_widget(kind):
            continue
        yield name, kind, options, next(values)
        if options.get("control_after_generate"):
            assert next(values) in AFTER_A_SEED
        if options.get("image_upload"):
            assert next(values) in AFTER_AN_UPLOAD
    assert list(values) == [], f"{node['type']} {node['id']} has values for which there is no widget"


def is_allowed(kind: Any, options: dict[str, Any], value: Any) -> bool:
    """Whether the widget can hold the value; which files there are is the user's."""
    if isinstance(kind, list) or kind == "COMBO":
        return value in (kind if isinstance(kind, list) else options["options"]) or value.endswith(FILES)
    if isinstance(value, bool) != (kind == "BOOLEAN") or not isinstance(value, TYPES[kind]):
        return False
    if kind == "INT" and (value - options["min"]) % options.get("step", 1):
        return False
    return kind not in ("INT", "FLOAT") or options["min"] <= value <= options["max"]


def test_every_node_exists(nodes: dict[int, Node], definitions: dict[str, Definition]) -> None:
    assert {node["type"] for node in nodes.values()} <= set(definitions)


def test_every_widget_holds_what_it_can_hold(
    nodes: dict[int, Node], definitions: dict[str, Definition]
) -> None:
    for node in nodes.values():
        for name, kind, options, value in widgets(node, definitions[node["type"]]):
            assert is_allowed(kind, options, value), f"{node['type']}.{name} cannot be {value!r}"


def test_links_join_what_fits(
    nodes: dict[int, Node], links: dict[int, tuple[int, int]], definitions: dict[str, Definition]
) -> None:
    for node in nodes.values():
        declared = inputs_of(definitions[node["type"]])
        for entry in node["inputs"]:
            kind, _ = declared[entry["name"]]
            assert entry["type"] == ("COMBO" if isinstance(kind, list) else kind)
            if entry["link"] is not None:
                source, output = links[entry["link"]]
                assert definitions[nodes[source]["type"]]["output"][output] == kind


def test_outputs_are_named_as_declared(nodes: dict[int, Node], definitions: dict[str, Definition]) -> None:
    for node in nodes.values():
        saved = [(output["name"], output["type"]) for output in node["outputs"]]
        declared = definitions[node["type"]]
        if saved:  # newer hosts give SaveImage and PreviewImage an output, older ones none
            assert saved == list(zip(declared["output_name"], declared["output"], strict=True))


def as_prompt(
    nodes: dict[int, Node], links: dict[int, tuple[int, int]], definitions: dict[str, Definition]
) -> dict[str, Any]:
    """The workflow in API form, as the frontend queues it."""
    prompt = {}
    for number, node in nodes.items():
        inputs = {name: value for name, _, _, value in widgets(node, definitions[node["type"]])}
        for entry in node["inputs"]:
            if entry["link"] is not None:
                source, output = links[entry["link"]]
                inputs[entry["name"]] = [str(source), output]
        prompt[str(number)] = {"class_type": node["type"], "inputs": inputs}
    return prompt


def test_only_model_files_are_missing(
    nodes: dict[int, Node],
    links: dict[int, tuple[int, int]],
    definitions: dict[str, Definition],
    server: Server,
) -> None:
    """The server validates the whole workflow, and runs the part that needs no model: the mask's preview."""
    server.upload(MASK)
    prompt = as_prompt(nodes, links, definitions)
    answer = server.post("/prompt", {"prompt": prompt, "client_id": "tests"})
    for number, complaint in answer["node_errors"].items():
        assert nodes[int(number)]["properties"].get("models"), complaint
        assert {error["type"] for error in complaint["errors"]} <= {
            "value_not_in_list",
            "custom_validation_failed",
        }
    outputs = server.wait_for(answer["prompt_id"])
    (preview,) = [number for number, node in nodes.items() if node["type"] == "PreviewImage"]
    shown = Image.open(io.BytesIO(server.picture(outputs[str(preview)]["images"][0])))
    assert ImageChops.difference(shown.convert("RGB"), Image.open(MASK).convert("RGB")).getbbox() is None


def test_the_template_is_served(path: Path, server: Server) -> None:
    assert path.stem in server.get("/workflow_templates")["ComfyUI-MoGLE"]
    address = f"/api/workflow_templates/ComfyUI-MoGLE/{path.stem}"
    assert server.get(f"{address}.json") == json.loads(path.read_text("utf-8"))
    assert Image.open(io.BytesIO(server.fetch(f"{address}.jpg"))).format == "JPEG"


def test_help_pages_are_served(server: Server, definitions: dict[str, Definition]) -> None:
    """And say of each input and output what it is."""
    own = {name: node for name, node in definitions.items() if node["category"] == "MoGLE"}
    assert own
    for name, definition in own.items():
        page = server.fetch(f"/extensions/ComfyUI-MoGLE/docs/{name}.md").decode()
        for slot in [*inputs_of(definition), *definition["output_name"]]:
            assert f"`{slot}`" in page, f"{name}.md does not mention {slot}"
