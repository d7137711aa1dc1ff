"""The templates in ComfyUI's page: opened from the template browser and as a dropped file, laid out, and run."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser
from support import hosts
from support.browser import ComfyPage, visit, wait_until
from support.comfy_server import Server
from support.templates import FULL, TOYS, template
from support.workflows import FRONTEND_ONLY, Definition, as_prompt, read

PACK = "ComfyUI-MoGLE"
SHORT, APP, PHOTO = template("Paint a face"), template("Portrait as an app"), template("Photo to portrait")
FIRST_FULL = template("Mask and text", "FLUX")
CARD = re.compile(r"^\d\d .* - (toy|FLUX)$")


@pytest.fixture(scope="module")
def definitions(stocked: Server) -> dict[str, Definition]:
    return stocked.get("/object_info")


@pytest.fixture(scope="module")
def toys(vue: bool, browser: Browser, stocked: Server) -> Iterator[ComfyPage]:
    comfy = visit(browser, stocked, vue)
    yield comfy
    comfy.leave()


@pytest.fixture(params=TOYS, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    return request.param


def open_template(comfy: ComfyPage, name: str) -> None:
    """As a user does it: the template browser, the pack in its list, the card."""
    comfy.do_js("app.graph.clear()")  # so that what is there afterwards is the template
    comfy.command("Comfy.BrowseTemplates")
    templates = comfy.page.get_by_role("dialog")  # the tabs of open workflows have the same names
    templates.get_by_text(PACK, exact=True).first.click()
    card = templates.get_by_text(name, exact=True).first
    templates.get_by_text(CARD).first.hover()

    def is_there() -> bool:  # 1.27 shows the first cards, and more as the list is scrolled
        comfy.page.mouse.wheel(0, 600)
        return card.count() > 0

    wait_until(is_there)
    card.click()
    card.wait_for(state="detached")  # another dialog may follow, about missing models


def wait_for(comfy: ComfyPage, path: Path) -> None:
    """Waits until the page shows the nodes of this workflow."""
    nodes, _ = read(path)
    count = len(nodes) + 1  # and its note
    last = max(nodes)
    kind = nodes[last]["type"]
    comfy.wait(f"app.graph.nodes.length === {count} && app.graph.getNodeById({last})?.type === '{kind}'")


def drop(comfy: ComfyPage, path: Path) -> None:
    comfy.do_js("app.graph.clear()")
    comfy.drop(path)
    wait_for(comfy, path)


def assert_is(comfy: ComfyPage, path: Path, definitions: dict[str, Definition]) -> None:
    """The page would queue exactly what the file says, input by input."""
    queued, wanted = comfy.prompt(), as_prompt(*read(path), definitions)
    assert set(queued) == set(wanted)
    for number, node in wanted.items():
        assert queued[number]["class_type"] == node["class_type"]
        assert {name: queued[number]["inputs"].get(name) for name in node["inputs"]} == node["inputs"]


def boxes(comfy: ComfyPage) -> dict[str, tuple[float, float, float, float]]:
    """Each node as the page draws it, including the title."""
    return comfy.js("""Object.fromEntries(app.graph.nodes.map((node) => {
        const shown = document.querySelector(`[data-node-id="${node.id}"]`)?.getBoundingClientRect();
        const scale = app.canvas.ds.scale;
        if (LiteGraph.vueNodesMode && shown?.width)
            return [`${node.id} ${node.type}`, [shown.x, shown.y, shown.right, shown.bottom].map((one) => one / scale)];
        const [x, y, width, height] = node.boundingRect; // of a collapsed node, its title
        return [`${node.id} ${node.type}`, [x, y, x + width, y + height]];
    }))""")


def overlaps(found: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (one, other)
        for (one, a), (other, b) in combinations(found.items(), 2)
        if min(a[2], b[2]) - max(a[0], b[0]) > 1 and min(a[3], b[3]) - max(a[1], b[1]) > 1
    ]


def settled(comfy: ComfyPage) -> dict[str, Any]:
    """The boxes when they no longer change: nodes take some frames to find their sizes."""
    comfy.command("Comfy.Canvas.FitView")
    found: list[dict[str, Any]] = [{}]

    def stay() -> bool:
        comfy.page.wait_for_timeout(400)
        found.append(boxes(comfy))
        return found[-1] == found[-2]

    wait_until(stay)
    return found[-1]


WINDOW = {"width": 1600, "height": 900}
SMALLEST = 9  # pixels of the smallest text that can be read
OPENED = """async ({ workflow, name }) => {
    await app.loadGraphData(workflow, true, true, name, { openSource: 'template' });
}"""
# The scale, the smallest text of a node in pixels of the screen, what lies outside its group, and each group's title
# that is wider than its group or crossed by a link.
LOOKS = """() => {
    const { scale, offset } = app.canvas.ds;
    const shown = LiteGraph.vueNodesMode ? '[data-node-id] *' : '.dom-widget *';
    const isText = (one) => [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    const texts = [...document.querySelectorAll(shown)].filter(
        (one) => (isText(one) || ['INPUT', 'TEXTAREA'].includes(one.tagName)) && one.checkVisibility());
    const sizes = texts.map((one) => parseFloat(getComputedStyle(one).fontSize));
    const smallest = Math.min(LiteGraph.NODE_SUBTEXT_SIZE, ...sizes) * scale;
    const origin = app.canvas.canvas.getBoundingClientRect();
    const box = (node) => {
        const element = LiteGraph.vueNodesMode && document.querySelector(`[data-node-id="${node.id}"]`);
        if (!element) return [...node.boundingRect];
        const { x, y, width, height } = element.getBoundingClientRect();
        const placed = [(x - origin.x) / scale - offset[0], (y - origin.y) / scale - offset[1]];
        return [...placed, width / scale, height / scale];
    };
    const context = document.createElement('canvas').getContext('2d');
    const groups = app.graph.groups;
    const strays = app.graph.nodes.filter((node) => node.type !== 'MarkdownNote').filter((node) => {
        const [x, y, width, height] = box(node);
        return !groups.some((group) => {
            const [left, top, wide, high] = group._bounding;
            return x > left - 1 && y > top - 1 && x + width < left + wide + 1 && y + height < top + high + 1;
        });
    });
    const titles = groups.map((group) => {
        const size = group.font_size;
        context.font = `${size}px Inter, Arial`;
        const [left, top, wide] = group._bounding;
        const width = context.measureText(group.title).width;
        return { title: group.title, left: left + 4, top: top + 4, width, size, fits: width + 8 <= wide };
    });
    context.lineWidth = 5;
    const paths = [...app.canvas.renderedPaths].map((link) => link.path).filter(Boolean);
    const isCrossed = ({ left, top, width, size }) => paths.some((path) => {
        for (let x = left; x <= left + width; x += 4)
            for (let y = top; y <= top + size; y += 4) if (context.isPointInStroke(path, x, y)) return true;
        return false;
    });
    return {
        smallest, strays: strays.map((node) => node.title),
        wide: titles.filter((one) => !one.fits).map((one) => one.title),
        crossed: titles.filter(isCrossed).map((one) => one.title),
    };
}"""


def assert_can_be_read(comfy: ComfyPage, path: Path) -> None:
    """In a window of 1600 x 900, as from the template browser: no text is too small, every node is in its group, and
    no group's title is crossed by a link or too long for its group.

    The templates are laid out for the pages that fit them into the window as they open; older ones do not.
    """
    if hosts.choose().version < (0, 8):
        return
    before = comfy.page.viewport_size
    assert before is not None
    comfy.page.set_viewport_size(WINDOW)
    comfy.wait(f"app.canvas.canvas.width === {WINDOW['width']} * devicePixelRatio")
    workflow = json.loads(path.read_text("utf-8"))
    workflow["extra"].pop("linearMode", None)  # the graph of the app
    # The name must not be open already, or the page would show that tab in its last state.
    comfy.page.evaluate(OPENED, {"workflow": workflow, "name": f"{path.stem} to read"})
    wait_for(comfy, path)
    comfy.wait(f"app.canvas.renderedPaths.size === {len(workflow['links'])}")
    picture(comfy, path)
    found = comfy.page.evaluate(LOOKS)
    assert found["smallest"] >= SMALLEST - 1e-6
    assert (found["strays"], found["wide"], found["crossed"]) == ([], [], [])
    comfy.page.set_viewport_size(before)


def picture(comfy: ComfyPage, path: Path) -> None:
    """To be looked at, if TEMPLATE_PICTURES names a folder."""
    if folder := os.environ.get("TEMPLATE_PICTURES"):
        renderer = "vue" if comfy.js("LiteGraph.vueNodesMode") else "classic"
        comfy.page.screenshot(path=f"{folder}/{path.stem}_{renderer}.png")


def leave_the_app(comfy: ComfyPage) -> None:
    """App mode shows the painting, the prompt and the seed, and nothing else. Then the page returns to the graph."""
    inputs = comfy.page.get_by_test_id("app-mode-widget-item")
    inputs.nth(2).wait_for()
    assert comfy.paint_button.is_visible()
    shown = [label.split("\n")[0] for label in comfy.page.get_by_test_id("builder-widget-label").all_inner_texts()]
    assert shown == ["painting", "text", "seed"] and inputs.count() == 3
    comfy.command("Comfy.ToggleLinear")
    inputs.first.wait_for(state="detached")


def knows_apps(comfy: ComfyPage) -> bool:
    return comfy.js("app.extensionManager.command.commands.some((one) => one.id === 'Comfy.ToggleLinear')")


def assert_is_laid_out(comfy: ComfyPage, path: Path) -> None:
    """The note is there, and no node overlaps another."""
    assert comfy.js(f"app.graph.nodes.some((node) => {sorted(FRONTEND_ONLY)}.includes(node.type))")
    assert overlaps(settled(comfy)) == []


def test_it_opens(toys: ComfyPage, path: Path, definitions: dict[str, Definition]) -> None:
    """From the template browser and as a dropped file, laid out. As a prompt it equals the one that
    ../host/test_workflows.py runs.
    """
    # The browser is the same in both renderers, and slow: one template shows that it opens in the newer one.
    if path == SHORT or not toys.js("LiteGraph.vueNodesMode"):
        open_template(toys, path.stem)
        wait_for(toys, path)
        assert_is(toys, path, definitions)
        if path == APP and knows_apps(toys):
            leave_the_app(toys)
    drop(toys, path)
    assert_is(toys, path, definitions)
    if path == APP and knows_apps(toys):
        leave_the_app(toys)
    assert_is_laid_out(toys, path)
    assert_can_be_read(toys, path)


def test_it_runs_and_makes_its_images(toys: ComfyPage) -> None:
    """With the page's queue button, with no setting changed."""
    drop(toys, SHORT)
    outputs = toys.queue()
    saved = [str(number) for number, node in read(SHORT)[0].items() if node["type"] == "SaveImage"]
    assert saved and all(outputs[number]["images"] for number in saved)


def test_the_full_workflow_opens_and_asks_for_its_models(
    vue: bool, browser: Browser, stocked: Server, definitions: dict[str, Definition]
) -> None:
    """Its files are missing here. The page names them and asks their addresses for their sizes. In 1.27 the
    browser of the tests blocks these requests; newer hosts forbid them.
    """
    comfy = visit(browser, stocked, vue)
    open_template(comfy, FIRST_FULL.stem)
    wait_for(comfy, FIRST_FULL)
    assert_is(comfy, FIRST_FULL, definitions)
    for full in FULL:
        assert_can_be_read(comfy, full)
    comfy.page.close()
    models = [
        model for full in FULL for node in read(full)[0].values() for model in node["properties"].get("models", [])
    ]
    addresses = {model["url"] for model in models}
    about_sizes = re.compile("|".join(["missingModelMetadata-", "fetchFileSize", *map(re.escape, addresses)]))
    assert [text for text in comfy.complaints if not about_sizes.search(text)] == []
    assert set(comfy.strangers) <= addresses


def load(comfy: ComfyPage, path: Path) -> None:
    """As the page itself opens a file's workflow."""
    comfy.page.evaluate(
        "async (workflow) => { await app.loadGraphData(workflow); }", json.loads(path.read_text("utf-8"))
    )
    wait_for(comfy, path)


def in_the_old_order(path: Path, folder: Path) -> Path:
    """The workflow as it was saved before the sockets of Gated Condition and Mask Painter were put in another order."""
    workflow = json.loads(path.read_text("utf-8"))
    orders = {
        "MoGLEGatedCondition": ["model", "positive", "mogle", "mask_latents", "negative"],
        "MoGLEMaskPainter": ["image", "mask"],
    }
    for node in workflow["nodes"]:
        first = orders.get(node["type"], [])
        node["inputs"].sort(key=lambda entry: first.index(entry["name"]) if entry["name"] in first else len(first))
        for slot, entry in enumerate(node["inputs"]):
            for link in workflow["links"]:
                if link[0] == entry["link"]:
                    link[4] = slot
    old = folder / path.name
    old.write_text(json.dumps(workflow), "utf-8")
    assert any(link not in json.loads(path.read_text("utf-8"))["links"] for link in workflow["links"])
    return old


def test_a_workflow_of_the_old_socket_order_is_the_same_prompt(
    toys: ComfyPage, definitions: dict[str, Definition], tmp_path: Path
) -> None:
    for path in (PHOTO, template("Two faces")):
        load(toys, in_the_old_order(path, tmp_path))
        assert_is(toys, path, definitions)


def bypass(comfy: ComfyPage, kind: str) -> None:
    comfy.do_js(f"for (const node of app.graph.nodes) if (node.type === '{kind}') node.mode = 4")


def sources(comfy: ComfyPage, kind: str) -> dict[str, str]:
    """Each input of the one node of this type and the type of the node that it comes from."""
    prompt = comfy.prompt()
    (node,) = [node for node in prompt.values() if node["class_type"] == kind]
    return {name: prompt[link[0]]["class_type"] for name, link in node["inputs"].items() if isinstance(link, list)}


def test_a_bypassed_node_passes_each_thing_to_its_like(toys: ComfyPage) -> None:
    """The negative as the negative and the mask as the mask; and what is left runs."""
    load(toys, PHOTO)
    before = sources(toys, "MoGLEMaskDecouple"), sources(toys, "KSampler")
    bypass(toys, "MoGLEMaskPainter")
    bypass(toys, "MoGLEGatedCondition")
    assert before[0] == {"image": "MoGLEMaskPainter"} and before[1]["negative"] == "MoGLEGatedCondition"
    assert sources(toys, "KSampler")["positive"] == "MoGLEToyPrompt"
    assert sources(toys, "KSampler")["negative"] == "ConditioningZeroOut"
    assert sources(toys, "MoGLEMaskScore")["mask"] == "MoGLEMaskEdit"  # what the painter was given as its mask
    load(toys, SHORT)
    bypass(toys, "MoGLEGatedCondition")
    outputs = toys.queue()
    saved = [str(number) for number, node in read(SHORT)[0].items() if node["type"] == "SaveImage"]
    assert saved and all(outputs[number]["images"] for number in saved)
