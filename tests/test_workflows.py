"""The example workflows as files: checks that need no ComfyUI."""

from __future__ import annotations

import ast
import copy
import json
from collections.abc import Callable, Iterator
from functools import cache
from itertools import combinations
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from PIL import Image
from support.places import REPOSITORY
from support.templates import ALL as EXAMPLES
from support.templates import FOLDER, FULL, TOYS

# Load Masks needs a file that Save Masks wrote before: no template that runs as it is installed can have it.
IN_NO_EXAMPLE = {"MoGLESaveMasks", "MoGLELoadMasks"}
NOTES = ("MarkdownNote", "Note")
ANY = "*"  # an input that takes every type
TITLE_HEIGHT = 30  # the frontend draws a node's title above its `pos`
WINDOW, FIT_SHARE, FIT_MARGIN = (1600, 900), 0.75, 10  # what ComfyUI 0.33 fits a template into when it opens it
TEXT, SMALLEST = 10, 9  # pixels of a note's and a prompt's text at full size, and the smallest to be read
DOWNLOADABLE = (".safetensors", ".sft", ".ckpt", ".pth", ".pt")  # what its missing-models dialog accepts

Workflow = dict[str, Any]
Box = tuple[float, float, float, float]


def read(path: Path) -> Workflow:
    return json.loads(path.read_text("utf-8"))


@cache
def own_node_ids() -> frozenset[str]:
    """Every node id of the pack, read as ComfyUI-Manager's scanner reads it: a literal in the source."""
    calls = (
        call
        for file in (REPOSITORY / "nodes").rglob("*.py")
        for call in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(call, ast.Call)
    )
    keywords = (keyword for call in calls for keyword in call.keywords if keyword.arg == "node_id")
    return frozenset(keyword.value.value for keyword in keywords if isinstance(keyword.value, ast.Constant))


def node_box(node: dict[str, Any]) -> Box:
    """The node's box with its title. A collapsed node has only the title."""
    (x, y), (width, height) = node["pos"], node["size"]
    return x, y - TITLE_HEIGHT, x + width, y if node["flags"].get("collapsed") else y + height


def group_box(group: dict[str, Any]) -> Box:
    x, y, width, height = group["bounding"]
    return x, y, x + width, y + height


def meet(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def inside(a: Box, b: Box) -> bool:
    return a[0] >= b[0] and a[1] >= b[1] and a[2] <= b[2] and a[3] <= b[3]


def id_complaints(workflow: Workflow) -> Iterator[str]:
    """Ids are unique, and none is above the file's last id."""
    for kind, ids in (
        ("node", [node["id"] for node in workflow["nodes"]]),
        ("link", [link[0] for link in workflow["links"]]),
    ):
        if len(set(ids)) < len(ids):
            yield f"a {kind} id comes twice"
        if max(ids) > workflow[f"last_{kind}_id"]:
            yield f"last_{kind}_id is below {max(ids)}"


def link_complaints(workflow: Workflow) -> Iterator[str]:
    """Both ends of a link name it, with its type or with any type, and no end names a missing link."""
    nodes = {node["id"]: node for node in workflow["nodes"]}
    kinds = {link[0]: link[5] for link in workflow["links"]}
    ends = {
        (link, "out", node["id"], slot, output["type"])
        for node in nodes.values()
        for slot, output in enumerate(node["outputs"])
        for link in output["links"] or ()
    } | {
        (entry["link"], "in", node["id"], slot, kinds.get(entry["link"]) if entry["type"] == ANY else entry["type"])
        for node in nodes.values()
        for slot, entry in enumerate(node["inputs"])
        if entry["link"] is not None
    }
    expected = set()
    for link, source, output, target, slot, kind in workflow["links"]:
        expected |= {(link, "out", source, output, kind), (link, "in", target, slot, kind)}
        if nodes[source]["order"] >= nodes[target]["order"]:
            yield f"node {target} comes before node {source} that it needs"
    yield from (f"the ends of link {end[0]} do not agree: {end}" for end in ends ^ expected)


def layout_complaints(workflow: Workflow) -> Iterator[str]:
    """Nodes and groups do not overlap, and no node crosses the border of a group."""
    nodes = [(f"node {node['id']}", node_box(node)) for node in workflow["nodes"]]
    groups = [(f"group {group['title']!r}", group_box(group)) for group in workflow["groups"]]
    for boxes in (nodes, groups):
        for (a, box_a), (b, box_b) in combinations(boxes, 2):
            if meet(box_a, box_b):
                yield f"{a} overlaps {b}"
    for node, box in nodes:
        for group, border in groups:
            if meet(box, border) and not inside(box, border):
                yield f"{node} reaches over the border of {group}"
    for node, (name, box) in zip(workflow["nodes"], nodes, strict=True):
        if node["type"] not in NOTES and not any(inside(box, border) for _, border in groups):
            yield f"{name} is in no group"


def view_complaints(workflow: Workflow) -> Iterator[str]:
    """The whole of it fits a window of 1600 x 900, in which ComfyUI opens a template, with text of SMALLEST pixels."""
    boxes = [node_box(node) for node in workflow["nodes"]]
    width = max(box[2] for box in boxes) - min(box[0] for box in boxes) + 2 * FIT_MARGIN
    height = max(box[3] for box in boxes) - min(box[1] for box in boxes) + 2 * FIT_MARGIN
    scale = min(FIT_SHARE * WINDOW[0] / width, FIT_SHARE * WINDOW[1] / height)
    if scale * TEXT < SMALLEST:
        yield f"{width:.0f} x {height:.0f} shows its notes and prompts in {scale * TEXT:.1f} pixels"
    if workflow["extra"]["ds"]["scale"] * TEXT < SMALLEST:
        yield "dropped on the page, it opens smaller than that"


def model_complaints(workflow: Workflow) -> Iterator[str]:
    """ComfyUI can offer each model for download: from an address that it allows, under the chosen name."""
    for node in workflow["nodes"]:
        for model in node["properties"].get("models", ()):
            address = PurePosixPath(model["url"])
            if not model["url"].startswith("https://huggingface.co/") or address.suffix not in DOWNLOADABLE:
                yield f"ComfyUI downloads nothing from {model['url']}"
            if model["name"] != address.name or model["name"] not in node["widgets_values"]:
                yield f"{model['name']} is not the file of {model['url']} that node {node['id']} takes"


def own_node_complaints(workflow: Workflow) -> Iterator[str]:
    """Nodes that claim to be from this pack exist in it."""
    for node in workflow["nodes"]:
        ours = node["type"].startswith("MoGLE") or node["properties"].get("cnr_id") == "face-mogle"
        if ours and node["type"] not in own_node_ids():
            yield f"the pack has no node {node['type']}"


CHECKS = (id_complaints, link_complaints, layout_complaints, view_complaints, model_complaints, own_node_complaints)


def test_there_are_examples_and_nothing_else() -> None:
    """ComfyUI treats every .json in the folder as a template, and the .jpg beside it as its thumbnail."""
    found = {path.name for path in FOLDER.iterdir()}
    assert found == {f"{path.stem}.{kind}" for path in EXAMPLES for kind in ("json", "jpg")}


def test_their_names_say_order_and_models() -> None:
    """ComfyUI's template browser shows the files' names."""
    assert [int(path.stem[:2]) for path in EXAMPLES] == [*range(1, len(EXAMPLES) + 1)]
    assert sorted(TOYS + FULL) == EXAMPLES


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_its_thumbnail_is_a_square_of_twice_a_cards_width(path: Path) -> None:
    """The template browser shows square cards; another shape would be cut."""
    with Image.open(path.parent / f"{path.stem}.jpg") as thumbnail:
        assert thumbnail.size == (640, 640)


def test_every_node_of_the_pack_is_in_an_example() -> None:
    shown = {node["type"] for path in EXAMPLES for node in read(path)["nodes"]}
    assert own_node_ids() - shown == IN_NO_EXAMPLE


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_explains_itself(path: Path) -> None:
    """In the graph: what it shows, where its files come from, what to try, and named groups."""
    workflow = read(path)
    (note,) = [node["widgets_values"][0] for node in workflow["nodes"] if node["type"] in NOTES]
    assert note.startswith("# ") and len(note) > 500
    assert ("toy install" in note) == (path in TOYS)
    assert len(workflow["groups"]) >= 4


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_workflow_is_sound(path: Path, check: Callable[[Workflow], Iterator[str]]) -> None:
    workflow = read(path)
    assert workflow["version"] == 0.4
    assert list(check(workflow)) == []


def _renumber(workflow: Workflow) -> None:
    workflow["nodes"][0]["id"] = workflow["nodes"][1]["id"]


def _retype(workflow: Workflow) -> None:
    workflow["links"][0][5] = "VAE"


def _push_together(workflow: Workflow) -> None:
    workflow["nodes"][2]["pos"] = workflow["nodes"][1]["pos"]


def _spread_out(workflow: Workflow) -> None:
    workflow["nodes"][2]["pos"] = [2000, 0]


def _rename_model(workflow: Workflow) -> None:
    next(node for node in workflow["nodes"] if "models" in node["properties"])["widgets_values"][0] = "other"


def _invent_node(workflow: Workflow) -> None:
    workflow["nodes"][0]["type"] = "MoGLENoSuchNode"


DAMAGES = (_renumber, _retype, _push_together, _spread_out, _rename_model, _invent_node)


@pytest.mark.parametrize(("check", "damage"), list(zip(CHECKS, DAMAGES, strict=True)))
def test_a_damaged_workflow_is_noticed(
    check: Callable[[Workflow], Iterator[str]], damage: Callable[[Workflow], None]
) -> None:
    workflow = copy.deepcopy(read(FULL[0]))
    damage(workflow)
    assert list(check(workflow))


def test_every_node_has_a_help_page() -> None:
    pages = {path.stem for path in (REPOSITORY / "web/docs").glob("*.md")}
    assert own_node_ids()
    assert pages == own_node_ids()
