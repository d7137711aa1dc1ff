"""Live on the toy world: each stroke makes a new picture beside the sheet, and nothing else of ComfyUI changes."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser
from support import hosts
from support.browser import NOTHING, PAINTER, ComfyPage, visit, wait_until
from support.comfy_server import Server
from support.editing import EDITOR, Editor
from support.templates import template

TEMPLATE = template("Paint a face")
SAVE = "app.graph.nodes.find((node) => node.type === 'SaveImage')"
SAMPLER = "app.graph.nodes.find((node) => node.type === 'KSampler')"
# A second node that shows a picture: what Mask Decouple read.
ADD_PREVIEW = """
    const decouple = app.graph.nodes.find((node) => node.type === 'MoGLEMaskDecouple');
    const preview = LiteGraph.createNode('PreviewImage');
    app.graph.add(preview);
    preview.pos = [decouple.pos[0], decouple.pos[1] + 900];
    decouple.connect(decouple.outputs.findIndex(({ type }) => type === 'IMAGE'), preview, 0);
"""
GRAPH = f"(() => {{ const graph = app.graph.serialize(); return [graph, {PAINTER}.id]; }})()"
PROBLEM = "editor.live.pane.problem.textContent"  # an empty one is not shown


@pytest.fixture(scope="module")
def opened(vue: bool, browser: Browser, stocked: Server) -> Iterator[ComfyPage]:
    comfy = visit(browser, stocked, vue)
    comfy.open_painting(TEMPLATE)
    comfy.do_js(ADD_PREVIEW)
    comfy.do_js(f"{SAMPLER}.widgets.find((one) => one.name === 'steps').value = 2")
    comfy.page.wait_for_timeout(500)
    yield comfy
    comfy.leave()


@pytest.fixture
def editor(comfy: ComfyPage) -> Editor:
    """The open editor with Live on and its first picture there."""
    editor = comfy.edit()
    editor.count_pictures()
    editor.keys("w")
    editor.wait_for_picture(1)
    return editor


def stroke(editor: Editor, number: int = 0) -> None:
    """One that changes the painting each time."""
    x = 100 + number % 40 * 5
    editor.choose((14, 2)[number % 2])
    editor.drag((x, 300), (x + 60, 330))


def own_runs(server: Server) -> tuple[int, int]:
    """How many runs the server has of others' prompts aside: running and waiting."""
    queue = server.get("/queue")
    return tuple(  # type: ignore[return-value]
        sum(item[3].get("client_id") != "tests" for item in queue[kind]) for kind in ("queue_running", "queue_pending")
    )


def without_painting(graph_and_id: list[Any]) -> dict[str, Any]:
    graph, painter = copy.deepcopy(graph_and_id)
    for node in graph["nodes"]:
        if str(node["id"]) == str(painter):
            node.pop("widgets_values")
            node.pop("widgets_values_named", None)
    return graph


def written(comfy: ComfyPage) -> list[Path]:
    """The files in ComfyUI's output folder, which tests before may have filled."""
    return sorted(path for path in comfy.server.output.rglob("*") if path.is_file())


def test_a_stroke_makes_a_new_picture_and_changes_nothing_else(comfy: ComfyPage, editor: Editor) -> None:
    """The graph's JSON, its seed among it, and the output folder are as before."""
    before, files_before = comfy.js(GRAPH), written(comfy)
    look = "editor.live.pane.picture.toDataURL()"
    pictures = {editor.js(look)}
    for number in range(2):
        stroke(editor, number)
        editor.wait_for_picture(number + 2)
        pictures.add(editor.js(look))
    assert len(pictures) == 3
    assert editor.js("[editor.live.picture.width, editor.live.picture.height]") == [128, 128]
    assert editor.js("editor.live.delay") > 0
    editor.done()
    assert without_painting(comfy.js(GRAPH)) == without_painting(before)
    assert written(comfy) == files_before
    assert comfy.js("Object.keys(app.nodeOutputs ?? {}).length") == 0  # what runs by Live is not drawn on the nodes


def test_the_queued_prompt_is_the_pages_but_for_the_preview_and_the_steps(comfy: ComfyPage, editor: Editor) -> None:
    editor.frame.get_by_label("Steps").select_option("4")
    editor.wait_for_picture(2)
    history = comfy.server.get("/history")
    _, _, queued, extra, targets = max((entry["prompt"] for entry in history.values()), key=lambda one: one[0])[:5]
    wanted = comfy.prompt()
    (save,) = [key for key, node in wanted.items() if node["class_type"] == "SaveImage"]
    wanted[save] |= {"class_type": "PreviewImage", "inputs": {"images": wanted[save]["inputs"]["images"]}}
    (sampler,) = [key for key, node in wanted.items() if node["class_type"] == "KSampler"]
    wanted[sampler]["inputs"]["steps"] = 4
    assert list(queued) == list(wanted) and targets == [save]
    for key, node in wanted.items():
        assert queued[key]["class_type"] == node["class_type"]
        # Not all inputs: the server adds marks for its cache.
        assert {name: queued[key]["inputs"].get(name) for name in node["inputs"]} == node["inputs"]
    assert extra["extra_pnginfo"]["workflow"]["nodes"]
    editor.frame.get_by_label("Steps").select_option("0")
    editor.done()


def test_several_previews_can_be_chosen_from(comfy: ComfyPage, editor: Editor) -> None:
    chooser = editor.frame.get_by_label("The node whose picture is shown")
    titles = chooser.locator("option").all_inner_texts()
    assert len(titles) == 2 and titles[0].startswith("Save Image") and titles[1].startswith("Preview")
    mask = chooser.locator("option").nth(1).get_attribute("value")
    saved = editor.js("editor.live.pane.picture.toDataURL()")
    chooser.select_option(mask)
    editor.wait_for_picture(2)
    assert editor.js("editor.live.pane.picture.toDataURL()") != saved
    editor.done()
    editor = comfy.edit()
    editor.keys("w")
    editor.page.wait_for_function(f"() => {EDITOR}.live.picture")
    assert chooser.input_value() == mask
    chooser.select_option(index=0)
    editor.done()


def test_the_picture_lies_under_the_brush_and_is_seen_alone(comfy: ComfyPage, editor: Editor) -> None:
    share = "(editor.live.beneath()?.share ?? null)"
    drawn = "new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))"
    corner = """(() => {
        const { view } = editor.scene;
        const at = view.toCanvas({ x: 3, y: 3 });
        return [...view.context.getImageData(at.x, at.y, 1, 1).data];
    })()"""
    editor.js(drawn)  # the canvas is empty until the first frame
    painted = editor.js(corner)
    assert editor.js(share) is None
    editor.keys("Shift+w")
    editor.frame.get_by_label("Opacity of the picture under the brush in percent").fill("30")
    assert editor.js(share) == pytest.approx(0.3)
    editor.js(drawn)
    assert editor.js(corner) != painted
    editor.keys("Shift+w")
    editor.canvas.focus()
    editor.page.keyboard.down("\\")
    assert editor.js(share) == 1
    editor.page.keyboard.up("\\")
    assert editor.js(share) is None
    editor.js(drawn)
    assert editor.js(corner) == painted
    editor.done()


def test_the_panes_width_is_kept(comfy: ComfyPage, editor: Editor) -> None:
    edge = editor.frame.get_by_role("separator", name="Width of the Live pane")
    width = "Math.round(editor.live.pane.root.getBoundingClientRect().width)"
    before = editor.js(width)
    box = edge.bounding_box()
    assert box
    editor.page.mouse.move(box["x"] + 4, box["y"] + 200)
    editor.page.mouse.down()
    editor.page.mouse.move(box["x"] - 46, box["y"] + 200)
    editor.page.mouse.up()
    assert editor.js(width) == pytest.approx(before + 50, abs=2)
    edge.focus()
    editor.keys("ArrowRight")
    wanted = editor.js(width)
    assert wanted == pytest.approx(before + 34, abs=2)
    editor.done()
    editor = comfy.edit()
    assert editor.js("editor.live.pane.root.hidden") is True
    editor.keys("w")
    assert editor.js(width) == wanted
    editor.done()


def test_a_hundred_quick_strokes_leave_one_run_and_spare_other_prompts(comfy: ComfyPage, editor: Editor) -> None:
    """Two prompts of somebody else run and wait meanwhile."""
    foreign = comfy.prompt()
    (sampler,) = [node for node in foreign.values() if node["class_type"] == "KSampler"]
    others = []
    for seed in (11, 12):
        sampler["inputs"] |= {"seed": seed, "steps": 200}
        others.append(comfy.server.queue(foreign))
    seen: list[tuple[int, int]] = []
    for number in range(100):
        editor.do(
            """
            const [id, x] = given;
            const { sheet } = editor;
            sheet.pen(id)(200, x, x + 40);
            sheet.commit('test');
            """,
            [(14, 2)[number % 2], 100 + number],
        )
        if number % 10 == 0:
            seen.append(own_runs(comfy.server))
    assert all(sum(runs) <= 1 for runs in seen)
    wait_until(lambda: sum(own_runs(comfy.server)) == 1)
    comfy.page.wait_for_timeout(1000)
    assert sum(own_runs(comfy.server)) == 1
    before = editor.js("editor.pictures")
    for other in others:
        assert comfy.server.wait_for(other)
    editor.wait_for_picture(before + 1)
    assert own_runs(comfy.server) == (0, 0)
    editor.done()


def test_done_cancels_the_own_run(comfy: ComfyPage, editor: Editor) -> None:
    comfy.do_js(f"{SAMPLER}.widgets.find((one) => one.name === 'steps').value = 400")
    stroke(editor)
    wait_until(lambda: own_runs(comfy.server) == (1, 0))
    editor.page.wait_for_function(f"() => {EDITOR}.live.pane.ring.getAttribute('aria-valuenow')")
    editor.done()
    comfy.do_js(f"{SAMPLER}.widgets.find((one) => one.name === 'steps').value = 2")
    wait_until(lambda: own_runs(comfy.server) == (0, 0), 300)
    history = comfy.server.get("/history")
    last = max(history.values(), key=lambda entry: entry["prompt"][0])
    can_cancel = hosts.choose().version >= (0, 33)
    assert last["status"]["completed"] is not can_cancel


def test_the_errors_sentence_is_in_the_pane_and_not_on_the_page(comfy: ComfyPage, editor: Editor) -> None:
    kind = "app.graph.nodes.find((node) => node.type === 'MoGLEMaskDecouple').widgets[0]"
    space = comfy.js(f"{kind}.value")
    comfy.do_js(f"{kind}.value = 'not one'")
    stroke(editor, 7)
    problem = editor.frame.get_by_role("alert")
    problem.filter(has_text="not one").wait_for()
    if hosts.choose().version >= (0, 33):  # refused before it runs, with the node's title
        assert problem.inner_text().startswith("Value not in list")
        assert problem.inner_text().endswith("(Mask Decouple)")
    else:  # 0.3.64 does not check the choice: the node does, when it runs
        assert problem.inner_text().startswith("Label space 'not one' is unknown")
    comfy.do_js(f"{kind}.value = given", space)
    before = editor.js("editor.pictures")
    stroke(editor, 8)
    editor.wait_for_picture(before + 1)
    assert editor.js(PROBLEM) == ""
    editor.done()
    assert comfy.page.get_by_role("dialog").count() == 0


def test_a_painter_in_a_subgraph_has_its_live_picture(comfy: ComfyPage) -> None:
    """The picture is saved outside, or inside as well if the whole graph is the subgraph."""
    outer = "app.graph.nodes.find((node) => node.isSubgraphNode?.())"
    comfy.click_title()
    comfy.command("Comfy.Graph.ConvertToSubgraph")
    comfy.wait(f"Boolean({outer})")
    comfy.do_js(f"app.canvas.openSubgraph({outer}.subgraph)")
    comfy.wait("app.canvas.graph !== app.graph && document.querySelector('.mogle-painting button')")
    paint_and_look(comfy)
    comfy.page.mouse.click(*NOTHING)
    comfy.keys("Escape")
    comfy.wait("app.canvas.graph === app.graph")
    comfy.click_title(outer)
    comfy.command("Comfy.Graph.UnpackSubgraph")
    comfy.wait(f"{PAINTER}?.widgets[0].value")


def paint_and_look(comfy: ComfyPage) -> None:
    """Opens the editor by the visible button, switches Live on, and waits for the picture after a stroke."""
    editor = comfy.edit()
    editor.count_pictures()
    editor.keys("w")
    editor.wait_for_picture(1)
    stroke(editor, 12)
    editor.wait_for_picture(2)
    assert editor.js(PROBLEM) == ""
    editor.done()


def test_a_server_restart_is_survived(comfy: ComfyPage, editor: Editor) -> None:
    before = editor.js("editor.pictures")
    comfy.server.restart()
    stroke(editor, 20)
    editor.wait_for_picture(before + 1)
    assert editor.js(PROBLEM) == ""
    editor.done()
    # While its server is gone, the page logs failed requests. Other errors of the pack still count.
    pack, refused = "/extensions/ComfyUI-MoGLE/", "WebSocket connection to"
    comfy.complaints[:] = [text for text in comfy.complaints if pack in text and refused not in text]
