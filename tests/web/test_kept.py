"""No part of a painting is lost: undo, copies, subgraphs, tabs, renderers, reloads, files and images preserve it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from support.browser import NOTHING, PAINTER, ComfyPage, wait_until
from support.editing import Editor

from mogle_core.masks.painting import read_planes

VUE = "Comfy.VueNodes.Enabled"
COPIES = "app.graph.nodes.filter((node) => node.type === 'MoGLEMaskPainter')"


def use_every_tool(editor: Editor) -> None:
    """Something by each tool, within the rows that the two strokes leave free."""
    for class_id, key, places in (
        (2, "r", ((4, 14), (12, 18))),
        (3, "o", ((16, 14), (26, 20))),
        (4, "a", ((30, 14), (38, 14), (38, 20), (30, 20))),
        (17, "l", ((4, 24), (20, 30))),
        (18, "b", ((24, 24), (40, 30))),
        (0, "e", ((20, 16), (22, 16))),
        (11, "g", ((6, 16),)),
        (12, "Shift+g", ((34, 16),)),
        (13, "d", ((44, 14), (60, 34))),
        (13, "Shift+d", ((50, 14), (52, 30))),
        (11, "v", ((8, 16), (12, 19))),
    ):
        editor.choose(class_id)
        editor.keys(key)
        editor.drag(*places)
    editor.keys("p")
    for corner in ((44, 44), (60, 44), (52, 58), (44, 44)):
        editor.click(*corner)
    editor.keys("b")


@pytest.fixture(autouse=True)
def painted(comfy: ComfyPage) -> list[torch.Tensor]:
    """A new graph whose painter has something by every tool and then two strokes, and the ids after each of the two."""
    comfy.lay_out()
    editor = comfy.edit()
    editor.keys("Escape")  # the window that offers a start
    editor.empty(64, 6)
    use_every_tool(editor)
    states = []
    for class_id, row in ((1, 10), (13, 40)):
        editor.choose(class_id)
        editor.drag((5, row), (50, row))
        states.append(editor.ids)
    editor.done()
    planes = read_planes(comfy.value)
    assert planes is not None and planes.pencil is not None and planes.pencil.any()
    assert {2, 3, 4, 11, 12, 17, 18} - set(states[-1].unique().tolist()) <= {2, 4, 12}  # fills replaced some
    return states


def paint_on(comfy: ComfyPage, before: list[torch.Tensor]) -> None:
    """Opens the editor with the visible button. Its undo continues, and the painting reaches the node."""
    value = comfy.value
    editor = comfy.edit()
    assert torch.equal(editor.ids, before[1])
    editor.keys("Control+z")
    assert torch.equal(editor.ids, before[0])
    editor.keys("Control+y")
    editor.zoom(6)
    editor.choose(5)
    editor.click(30, 55)
    editor.done()
    changed = before[1].clone()
    changed[55, 30] = 5
    assert torch.equal(comfy.ids, changed), (comfy.ids != changed).nonzero().tolist()[:9]
    assert comfy.value != value


def test_marks_of_classes_are_kept(comfy: ComfyPage, painted) -> None:
    """Protection, hiding and solo are the painting's: the next visit has them, a reload, and a copy of the node."""
    editor = comfy.edit()
    editor.keys("Shift+3", "Shift+l", "2", "Shift+h", "1", "Shift+s", "Shift+o")
    editor.done()
    state = {"locked": [13], "hidden": [2], "only": [1], "solo": 1}
    for reloads in (False, True):
        if reloads:
            comfy.page.wait_for_timeout(1500)  # the frontend writes its draft a little later
            comfy.reload()
        editor = comfy.edit()
        assert editor.js("editor.classes.marks") == state
        assert editor.js("[...editor.sheet.paintable]") == [int(i == 1) for i in range(19)]
        editor.done()
    copied = f"({PAINTER}).clone().properties.mogle_class_marks"
    assert json.loads(comfy.js(copied)) == state
    comfy.do_js(f"{PAINTER}.properties.mogle_class_marks = given", '{"locked": [99, "x"], "solo": "hair"}')
    editor = comfy.edit()
    assert editor.js("editor.classes.marks") == {"locked": [], "hidden": [], "only": [], "solo": None}
    editor.done()


def test_graph_undo_takes_back_one_visit_and_painting_continues(comfy: ComfyPage, painted) -> None:
    value = comfy.value
    comfy.keys("Control+z")
    comfy.wait_for_value("")
    comfy.keys("Control+y")
    comfy.wait_for_value(value)
    # The node is a new one now: its own button must open it, and its own value change.
    comfy.page.wait_for_timeout(500)
    paint_on(comfy, painted)
    comfy.keys("Control+z")
    comfy.wait_for_value(value)


def test_a_copied_node_has_an_independent_painting(comfy: ComfyPage, painted) -> None:
    value = comfy.value
    comfy.click_title()
    comfy.keys("Control+c")
    comfy.page.mouse.move(*NOTHING)
    comfy.keys("Control+v")
    comfy.wait(f"{COPIES}.length === 2")
    assert comfy.js(f"{COPIES}.map((node) => node.widgets[0].value)") == [value, value]
    comfy.page.wait_for_timeout(500)
    comfy.paint_button.click()
    comfy.editor.canvas.wait_for()
    comfy.editor.zoom(6)
    comfy.editor.click(30, 55)
    comfy.editor.done()
    values = comfy.js(f"{COPIES}.map((node) => node.widgets[0].value)")
    assert value in values and values[0] != values[1]


def test_it_goes_into_a_subgraph_and_out(comfy: ComfyPage, painted) -> None:
    value = comfy.value
    comfy.click_title()
    comfy.command("Comfy.Graph.ConvertToSubgraph")
    comfy.wait("app.graph.nodes.some((node) => node.isSubgraphNode?.())")
    (inside,) = [node for node in comfy.prompt().values() if node["class_type"] == "MoGLEMaskPainter"]
    assert inside["inputs"]["painting"] == value
    comfy.do_js("app.canvas.openSubgraph(app.graph.nodes.find((node) => node.isSubgraphNode?.()).subgraph)")
    found = "app.canvas.graph.nodes.find((node) => node.type === 'MoGLEMaskPainter')"
    comfy.wait(f"app.canvas.graph !== app.graph && {found}?.widgets[0].value === {json.dumps(value)}")
    comfy.page.wait_for_timeout(500)
    editor = comfy.edit()
    assert torch.equal(editor.ids, painted[1])
    editor.keys("Control+z")
    assert torch.equal(editor.ids, painted[0])
    editor.done()
    changed = comfy.js(f"{found}.widgets[0].value")
    assert changed != value
    comfy.page.mouse.click(*NOTHING)
    comfy.keys("Escape")
    comfy.wait("app.canvas.graph === app.graph")
    (inside,) = [node for node in comfy.prompt().values() if node["class_type"] == "MoGLEMaskPainter"]
    assert inside["inputs"]["painting"] == changed
    comfy.click_title("app.graph.nodes.find((node) => node.isSubgraphNode?.())")
    comfy.command("Comfy.Graph.UnpackSubgraph")
    comfy.wait_for_value(changed)
    comfy.page.wait_for_timeout(500)
    editor = comfy.edit()
    assert torch.equal(editor.ids, painted[0])
    editor.done()


def test_another_tab_and_back(comfy: ComfyPage, painted) -> None:
    value = comfy.value
    comfy.command("Comfy.NewBlankWorkflow")
    comfy.wait(f"!{PAINTER}")
    comfy.lay_out()  # its painter has the same id as the other tab's
    comfy.wait_for_value("")
    comfy.page.wait_for_timeout(300)
    comfy.command("Workspace.PreviousOpenedWorkflow")
    comfy.wait_for_value(value)
    comfy.page.wait_for_timeout(500)
    paint_on(comfy, painted)
    value = comfy.value
    comfy.command("Workspace.NextOpenedWorkflow")
    comfy.wait_for_value("")
    comfy.command("Workspace.PreviousOpenedWorkflow")
    comfy.wait_for_value(value)


def test_the_other_renderer_and_back(comfy: ComfyPage, painted) -> None:
    value = comfy.value
    was_vue = comfy.js(f"app.extensionManager.setting.get('{VUE}')")
    shows_widgets = comfy.js("window.__COMFYUI_FRONTEND_VERSION__") != "1.27.10"  # its newer renderer shows none
    comfy.js(f"app.extensionManager.setting.set('{VUE}', given)", not was_vue)
    comfy.wait(f"LiteGraph.vueNodesMode === {json.dumps(not was_vue)}")
    comfy.page.wait_for_timeout(500)
    assert comfy.value == value
    if shows_widgets:
        paint_on(comfy, painted)
        value = comfy.value
    comfy.js(f"app.extensionManager.setting.set('{VUE}', given)", was_vue)
    comfy.wait(f"LiteGraph.vueNodesMode === {json.dumps(was_vue)}")
    comfy.page.wait_for_timeout(500)
    assert comfy.value == value
    editor = comfy.edit()
    editor.done()
    assert comfy.value == value


def test_a_reload_keeps_the_painting_and_its_undo(comfy: ComfyPage, painted) -> None:
    value = comfy.value
    comfy.page.wait_for_timeout(1500)  # the frontend writes its draft a little later
    comfy.reload()
    comfy.wait_for_value(value)
    paint_on(comfy, painted)


def test_a_saved_workflow_keeps_the_painting_and_its_undo(comfy: ComfyPage, painted) -> None:
    value = comfy.value
    name = f"painted {comfy.js('LiteGraph.vueNodesMode')}"
    comfy.page.mouse.click(*NOTHING)
    comfy.keys("Control+s")
    comfy.page.get_by_role("dialog").locator("input").fill(name)
    comfy.keys("Enter")

    file = comfy.server.base / f"user/default/workflows/{name}.json"
    wait_until(file.is_file)
    stored = json.loads(file.read_text("utf-8"))
    (node,) = [node for node in stored["nodes"] if node["type"] == "MoGLEMaskPainter"]
    assert node["widgets_values"] == [value]
    comfy.page.wait_for_timeout(1500)
    comfy.reload()
    comfy.wait_for_value(value)
    paint_on(comfy, painted)


def test_a_result_dropped_onto_the_page_restores_the_painting(comfy: ComfyPage, painted, tmp_path: Path) -> None:
    value = comfy.value
    (saved,) = next(output["images"] for output in comfy.queue().values() if output.get("images"))
    (tmp_path / "result.png").write_bytes(comfy.server.picture(saved))
    comfy.js("app.graph.clear()")
    comfy.wait(f"!{PAINTER}")
    comfy.drop(tmp_path / "result.png")
    comfy.wait_for_value(value)
    comfy.page.wait_for_timeout(500)
    paint_on(comfy, painted)


def test_the_app_mode_and_back(comfy: ComfyPage, painted) -> None:
    toggle = "Comfy.ToggleLinear"
    if not comfy.js("app.extensionManager.command.commands.some((one) => one.id === given)", toggle):
        pytest.skip("the frontend of this ComfyUI has no App mode")
    value = comfy.value
    comfy.command(toggle)
    comfy.page.wait_for_timeout(500)
    assert comfy.value == value
    (inside,) = [node for node in comfy.prompt().values() if node["class_type"] == "MoGLEMaskPainter"]
    assert inside["inputs"]["painting"] == value
    comfy.command(toggle)
    comfy.paint_button.wait_for()
    comfy.page.wait_for_timeout(500)
    paint_on(comfy, painted)


def test_a_reload_in_mid_stroke_loses_at_most_the_stroke(comfy: ComfyPage, painted) -> None:
    value = comfy.value
    comfy.page.wait_for_timeout(1500)  # the frontend writes its draft a little later
    editor = comfy.edit()
    editor.zoom(6)
    with editor.held((5, 40), (40, 40)):
        comfy.reload()
    comfy.wait_for_value(value)
    paint_on(comfy, painted)
