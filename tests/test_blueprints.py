"""The subgraph blueprints as files: checks that need no ComfyUI."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[1]
BLUEPRINTS = sorted((REPOSITORY / "subgraphs").glob("*.json"))
OUTER_INPUT, OUTER_OUTPUT = -10, -20  # what ComfyUI calls a subgraph's inputs and outputs among its nodes


@pytest.fixture(params=BLUEPRINTS, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.fixture
def workflow(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text("utf-8"))


@pytest.fixture
def subgraph(workflow: dict[str, Any]) -> dict[str, Any]:
    (found,) = workflow["definitions"]["subgraphs"]
    return found


def own_node_ids() -> set[str]:
    trees = [ast.parse(file.read_text("utf-8")) for file in (REPOSITORY / "nodes").glob("*.py")]
    calls = [call for tree in trees for call in ast.walk(tree) if isinstance(call, ast.Call)]
    found = [one.value for call in calls for one in call.keywords if one.arg == "node_id"]
    return {one.value for one in found if isinstance(one, ast.Constant)}


def test_the_four_of_them() -> None:
    names = {"Mask to Conditioning", "Paint to Portrait", "Photo to Mask", "Portrait in One Node"}
    assert {path.name for path in (REPOSITORY / "subgraphs").iterdir()} == {f"{name} (MoGLE).json" for name in names}


def test_each_is_one_node_that_is_its_subgraph(path: Path, workflow: dict[str, Any], subgraph: dict[str, Any]) -> None:
    (node,) = workflow["nodes"]
    assert node["type"] == subgraph["id"] and node["title"] == subgraph["name"] == path.stem
    assert len(subgraph["description"]) > 60 and subgraph["category"] == "MoGLE"
    for kind in ("inputs", "outputs"):
        assert [(one["name"], one["type"]) for one in node[kind]] == [
            (one["name"], one["type"]) for one in subgraph[kind]
        ]


def test_every_link_is_named_at_both_of_its_ends(subgraph: dict[str, Any]) -> None:
    nodes = {node["id"]: node for node in subgraph["nodes"]}
    assert len(nodes) == len(subgraph["nodes"])
    sources = {(one, OUTER_INPUT, place) for place, end in enumerate(subgraph["inputs"]) for one in end["linkIds"]}
    targets = {(one, OUTER_OUTPUT, place) for place, end in enumerate(subgraph["outputs"]) for one in end["linkIds"]}
    for number, node in nodes.items():
        sources |= {(one, number, place) for place, end in enumerate(node["outputs"]) for one in end["links"]}
        targets |= {(end["link"], number, place) for place, end in enumerate(node["inputs"]) if end["link"] is not None}
    links = subgraph["links"]
    assert sources == {(link["id"], link["origin_id"], link["origin_slot"]) for link in links}
    assert targets == {(link["id"], link["target_id"], link["target_slot"]) for link in links}
    assert all(end["linkIds"] for kind in ("inputs", "outputs") for end in subgraph[kind])


def test_its_own_nodes_exist_and_its_models_can_be_downloaded(subgraph: dict[str, Any]) -> None:
    known = own_node_ids()
    for node in subgraph["nodes"]:
        assert (node["properties"]["cnr_id"] == "face-mogle") == (node["type"] in known), node["type"]
        files = [str(value) for value in node["widgets_values"] if str(value).endswith((".safetensors", ".pt"))]
        assert sorted(model["name"] for model in node["properties"].get("models", [])) == sorted(files)
