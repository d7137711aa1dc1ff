"""The subgraph blueprints in ComfyUI's page: each is one node, runs, and keeps its painting and its choices."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser
from support import hosts
from support.browser import ComfyPage, visit
from support.comfy_server import Server

from mogle_core.masks.painting import read_painting

PACK = "ComfyUI-MoGLE"
BLUEPRINTS = sorted((hosts.REPOSITORY / "subgraphs").glob("*.json"))
PORTRAIT = "Paint to Portrait (MoGLE)"
OF_THE_HOST = re.compile("missingModelMetadata-|fetchFileSize|huggingface.co|Missing Link ID when unpacking")
ONE = "app.graph.nodes.find((node) => node.isSubgraphNode?.())"
# Widgets of the toy's names and size, so that the blueprint runs on the embedded weights.
TOY = {"mogle_name": "toy_mogle.safetensors", "lora_name": "toy_mogle.safetensors"}
TOY |= {"width": 128, "height": 128, "steps": 2, "seed": 7, "strength": 0.85}

if not (hosts.choose().path / "app/subgraph_manager.py").is_file():
    pytest.skip("this ComfyUI takes no blueprints from extensions (0.3.66 or so on)", allow_module_level=True)


@pytest.fixture(scope="module")
def opened(vue: bool, browser: Browser, stocked: Server) -> Iterator[ComfyPage]:
    comfy = visit(browser, stocked, vue)
    yield comfy
    comfy.page.close()
    # The page asks the models' addresses for their sizes. The host forbids it, or the browser of the tests does.
    # Unpacking a subgraph whose inputs have no link is an error of the page's that changes nothing.
    assert [text for text in comfy.complaints if not OF_THE_HOST.search(text)] == []
    assert [address for address in comfy.strangers if "huggingface.co" not in address] == []


def contents(name: str) -> dict[str, Any]:
    return json.loads((hosts.REPOSITORY / f"subgraphs/{name}.json").read_text("utf-8"))


def inside(name: str) -> list[str]:
    (subgraph,) = contents(name)["definitions"]["subgraphs"]
    return sorted(node["type"] for node in subgraph["nodes"])


def load(comfy: ComfyPage, workflow: Any) -> None:
    comfy.page.evaluate("async (workflow) => { await app.loadGraphData(workflow); }", workflow)
    comfy.wait(f"Boolean({ONE})")


def saved(comfy: ComfyPage) -> dict[str, Any]:
    """The workflow as the page writes it to a file."""
    return json.loads(comfy.js("JSON.stringify(app.graph.serialize())"))


def values(comfy: ComfyPage, node: str = ONE) -> dict[str, Any]:
    return comfy.js(f"Object.fromEntries(({node}).widgets.map((one) => [one.name, one.value]))")


def of_the_prompt(comfy: ComfyPage) -> dict[str, Any]:
    """What the page would queue for the widgets that the test set."""
    nodes = {node["class_type"]: node["inputs"] for node in comfy.prompt().values()}
    found = {"painting": nodes["MoGLEMaskPainter"]["painting"], "mogle_name": nodes["MoGLELoader"]["mogle_name"]}
    found |= {"lora_name": nodes["MoGLELoRAApply"]["lora_name"], "strength": nodes["MoGLEGatedCondition"]["strength"]}
    found |= {name: nodes["EmptySD3LatentImage"][name] for name in ("width", "height")}
    assert {name: nodes["ModelSamplingFlux"][name] for name in ("width", "height")} == {"width": 128, "height": 128}
    return found | {name: nodes["KSampler"][name] for name in ("seed", "steps")}


def portrait(comfy: ComfyPage) -> dict[str, Any]:
    """The blueprint for a portrait with the toy's names, in the place of a new graph. Returns its widgets' values."""
    load(comfy, contents(PORTRAIT))
    comfy.do_js(f"for (const one of {ONE}.widgets) if (one.name in given) one.value = given[one.name]", TOY)
    return values(comfy)


def paint(comfy: ComfyPage, row: int) -> str:
    """A stroke by the card's button; the painting that comes of it."""
    before = values(comfy)["painting"]
    editor = comfy.edit()
    editor.zoom(1)
    editor.choose(13)
    editor.drag((100, row), (300, row))
    editor.done()
    comfy.wait(f"{ONE}.widgets.find((one) => one.name === 'painting').value !== {json.dumps(before)}")
    return values(comfy)["painting"]


def test_the_library_of_nodes_offers_each_and_adds_one_node(opened: ComfyPage) -> None:
    opened.do_js("app.graph.clear()")
    opened.command("Workspace.ToggleSidebarTab.node-library")
    search = opened.page.get_by_role("textbox").or_(opened.page.get_by_role("combobox")).first
    for path in BLUEPRINTS:
        search.fill(path.stem)
        opened.page.get_by_text(path.stem, exact=True).first.wait_for()
    search.fill(PORTRAIT)
    opened.page.get_by_text(PORTRAIT, exact=True).first.click()
    opened.page.mouse.move(700, 200)
    opened.page.mouse.click(705, 205)
    opened.wait(f"app.graph.nodes.length === 1 && {ONE}?.title === {json.dumps(PORTRAIT)}")
    opened.command("Workspace.ToggleSidebarTab.node-library")
    opened.paint_button.wait_for()
    assert sorted(node["class_type"] for node in opened.prompt().values()) == inside(PORTRAIT)


@pytest.mark.parametrize("path", BLUEPRINTS, ids=lambda path: path.stem)
def test_each_is_one_node_with_its_widgets(path: Path, opened: ComfyPage) -> None:
    """The prompt has every node inside, with the values that the file gives them, and no input of them is lost."""
    workflow = contents(path.stem)
    load(opened, workflow)
    (subgraph,) = workflow["definitions"]["subgraphs"]
    assert opened.js("app.graph.nodes.length") == 1
    assert [one["name"] for one in subgraph["inputs"]] == opened.js(f"{ONE}.inputs.map((one) => one.name)")
    assert set(values(opened)) == {one["name"] for one in workflow["nodes"][0]["inputs"] if "widget" in one}
    prompt = opened.prompt()
    assert sorted(node["class_type"] for node in prompt.values()) == inside(path.stem)
    saved = [str(value) for node in subgraph["nodes"] for value in node["widgets_values"]]
    queued = [value for node in prompt.values() for value in node["inputs"].values() if isinstance(value, str)]
    assert queued and set(queued) <= set(saved)


def test_it_runs_on_the_toys_weights(opened: ComfyPage) -> None:
    """With three loaders outside: a portrait as the node's first output, and the painted mask as its second."""
    portrait(opened)
    opened.do_js(
        f"""
        const make = (type, values) => {{
            const node = LiteGraph.createNode(type);
            app.graph.add(node);
            for (const [name, value] of Object.entries(values)) node.widgets.find((w) => w.name === name).value = value;
            return node;
        }};
        const one = {ONE};
        const slot = (name) => one.inputs.findIndex((input) => input.name === name);
        make('UNETLoader', {{ unet_name: 'toy_flux.safetensors' }}).connect(0, one, slot('model'));
        make('MoGLEToyPrompt', {{}}).connect(0, one, slot('positive'));
        make('VAELoader', {{ vae_name: 'toy_vae.safetensors' }}).connect(0, one, slot('vae'));
        one.connect(0, make('SaveImage', {{}}), 0);
        one.connect(1, make('PreviewImage', {{}}), 0)
        """
    )
    images = [output["images"] for output in opened.queue().values() if output.get("images")]
    assert len(images) == 2 and all(images)


def test_the_promoted_painter_is_painted_on_and_everything_stays(opened: ComfyPage, stocked: Server) -> None:
    """Through a stroke, the saved workflow, App mode, a subgraph around it, and the way back."""
    portrait(opened)
    assert opened.page.locator(".mogle-painting >> visible=true").count() == 1
    painting = paint(opened, 60)
    wanted = TOY | {"painting": painting}
    ids = read_painting(painting)
    assert ids is not None and ids[60, 120] == 13
    assert of_the_prompt(opened) == wanted

    load(opened, saved(opened))
    assert of_the_prompt(opened) == wanted
    opened.paint_button.wait_for()

    shown = opened.page.locator("[data-testid^='linear-']")
    opened.command("Comfy.ToggleLinear")  # App mode: the workflow as a form
    shown.first.wait_for()
    assert of_the_prompt(opened) == wanted
    opened.command("Comfy.ToggleLinear")
    shown.first.wait_for(state="detached")
    assert of_the_prompt(opened) == wanted

    opened.click_title(ONE)
    opened.command("Comfy.Graph.ConvertToSubgraph")
    opened.wait(f"{ONE}?.subgraph.nodes.some((node) => node.isSubgraphNode?.())")
    assert of_the_prompt(opened) == wanted
    load(opened, saved(opened))
    assert of_the_prompt(opened) == wanted
    opened.click_title(ONE)
    opened.command("Comfy.Graph.UnpackSubgraph")
    opened.wait(f"{ONE} && !{ONE}.subgraph.nodes.some((node) => node.isSubgraphNode?.())")
    assert of_the_prompt(opened) == wanted


def test_two_of_them_have_paintings_of_their_own(opened: ComfyPage) -> None:
    """A copy begins with the same painting, and a change of it leaves the first as it was."""
    first = portrait(opened)["painting"]
    opened.click_title(ONE)
    opened.keys("Control+c")
    opened.page.mouse.move(1000, 700)
    opened.keys("Control+v")
    opened.wait("app.graph.nodes.length === 2")
    painting = "{}.widgets.find((one) => one.name === 'painting')"
    one, copy = (painting.format(f"app.graph.nodes.toSorted((a, b) => a.id - b.id)[{place}]") for place in (0, 1))
    assert opened.js(f"{copy}.value") == first
    opened.do_js(f"{copy}.value = ''")
    assert [opened.js(f"{which}.value") for which in (one, copy)] == [first, ""]
    queued = [node["inputs"] for node in opened.prompt().values() if node["class_type"] == "MoGLEMaskPainter"]
    assert sorted(inputs["painting"] for inputs in queued) == ["", first]
