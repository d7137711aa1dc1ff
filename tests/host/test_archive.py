"""The archive that the Registry ships, unpacked in a folder as the Manager names it: a real server starts from it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import hosts, shipped, templates
from support.comfy_server import Server
from support.in_process import TEST_PACK
from support.workflows import as_prompt, read

from mogle_core.toy.install import install

FOLDER = "face-mogle"  # not the repository's name


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With the tests' own pack, by which old hosts load the toy's FLUX."""
    unpacked = shipped.unpack(tmp_path_factory.mktemp("archive"))
    with Server(hosts.choose(), {FOLDER: unpacked, TEST_PACK.name: TEST_PACK}) as started:
        yield started


@pytest.fixture(scope="module")
def stocked(server: Server) -> Server:
    """The server after `mogle toy install` of the Python package."""
    install(server.base, force=True)
    return server


def test_every_node_and_help_page_is_there(server: Server) -> None:
    assert "IMPORT FAILED" not in server.start_log
    own = {name for name, node in server.get("/object_info").items() if node["category"].startswith("MoGLE")}
    assert len(own) >= 20
    assert {path.stem for path in (hosts.REPOSITORY / "web/docs").glob("*.md")} == own
    for name in own:
        page = server.fetch(f"/extensions/{FOLDER}/docs/{name}.md").decode()
        assert page == (hosts.REPOSITORY / f"web/docs/{name}.md").read_text("utf-8")


def test_the_painter_and_every_template_are_served(server: Server) -> None:
    assert b"registerExtension" in server.fetch(f"/extensions/{FOLDER}/painter/painter.js")
    assert {path.stem for path in templates.ALL} == set(server.get("/workflow_templates")[FOLDER])
    for path in templates.FOLDER.iterdir():
        assert server.fetch(f"/api/workflow_templates/{FOLDER}/{path.name}") == path.read_bytes()


def test_without_the_toys_models_the_server_names_them(server: Server) -> None:
    from support.comfy_server import PromptRefusedError

    prompt: dict[str, Any] = {
        "1": {"class_type": "MoGLELoader", "inputs": {"mogle_name": "toy_mogle.safetensors", "gate_timestep": "auto"}}
    }
    prompt["2"] = {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}}
    with pytest.raises(PromptRefusedError, match="models/mogle"):
        server.run(prompt)


def test_every_blueprint_is_served_where_the_host_takes_them(server: Server) -> None:
    """0.3.64 takes none from extensions; ../web/test_blueprints.py opens them in the page."""
    if not (server.host.path / "app/subgraph_manager.py").is_file():
        pytest.skip("this ComfyUI takes no blueprints from extensions")
    offered = {
        entry["name"]: number
        for number, entry in server.get("/global_subgraphs").items()
        if entry["info"]["node_pack"] == f"custom_nodes.{FOLDER}"
    }
    files = {path.stem: path for path in (hosts.REPOSITORY / "subgraphs").glob("*.json")}
    assert set(offered) == set(files)
    for name, path in files.items():
        assert server.get(f"/global_subgraphs/{offered[name]}")["data"] == path.read_text("utf-8")


@pytest.mark.parametrize("path", templates.TOYS, ids=lambda path: path.stem)
def test_with_the_python_packages_toy_install_every_toy_template_runs(path: Path, stocked: Server) -> None:
    """With two steps; test_workflows.py runs each as it is installed."""
    nodes, links = read(path)
    prompt = as_prompt(nodes, links, stocked.get("/object_info"))
    for node in prompt.values():
        if "steps" in node["inputs"] and node["class_type"] == "KSampler":
            node["inputs"]["steps"] = 2
    outputs = stocked.run(prompt)
    saved = [str(number) for number, node in nodes.items() if node["type"] in ("SaveImage", "SaveAnimatedWEBP")]
    assert saved and all(outputs[number]["images"] for number in saved)
