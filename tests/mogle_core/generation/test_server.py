"""Jobs over a pool of ComfyUI servers: the prompts they get, and what happens when servers stop answering."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.fake_comfy import FakeComfy

from mogle_core.generation.backend import BackendError
from mogle_core.generation.comfy import TOY_FILES, ComfyFiles, comfy_prompt
from mogle_core.generation.jobs import Job, read_jobs
from mogle_core.generation.manifest import outcomes
from mogle_core.generation.run import Output, generate
from mogle_core.generation.server import ServerBackend
from mogle_core.generation.settings import Settings
from mogle_core.masks.decouple import decode_image
from mogle_core.model.encoders.flux_text import FluxText


def noise(prompt: dict[str, Any]) -> np.ndarray:
    generator = np.random.default_rng(prompt["sampler"]["inputs"]["seed"])
    return generator.integers(0, 255, (32, 32, 3), dtype=np.uint8)


def made(urls: list[str], masks: Path, out: Path, small: Settings) -> list[str]:
    backend = ServerBackend(urls, TOY_FILES, patience=5.0, grace=0.3)
    return [outcome.status for outcome in generate(read_jobs(masks), small, backend, Output(out))]


def pictures(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}


def test_a_pool_makes_what_one_makes(masks: Path, tmp_path: Path, small: Settings) -> None:
    with FakeComfy(noise) as one, FakeComfy(noise) as other:
        assert made([one.url, other.url], masks, tmp_path / "pool", small) == ["made"] * 10
        assert len(one.prompts) + len(other.prompts) == 10
    with FakeComfy(noise) as alone:
        assert made([alone.url.removeprefix("http://")], masks, tmp_path / "alone", small) == ["made"] * 10
        assert len(alone.uploads) == 10
    assert pictures(tmp_path / "pool") == pictures(tmp_path / "alone")


def test_a_mask_is_uploaded_once_in_the_palettes_colours(masks: Path, tmp_path: Path, small: Settings) -> None:
    for number in range(1, 10):
        (masks / f"{number}.png").write_bytes((masks / "0.png").read_bytes())
    with FakeComfy(noise) as server:
        made([server.url], masks, tmp_path / "out", small)
        assert len(server.prompts) == 10
        assert len(server.uploads) == 1
        stored = server.uploads[0].split(b"\r\n\r\n")[-1].split(b"\r\n--")[0]
        assert {p["image"]["inputs"]["image"].startswith("mogle/") for p in server.prompts} == {True}
    (tmp_path / "mask.png").write_bytes(stored)
    ours = decode_image(Image.open(masks / "0.png"), "celebamask").ids
    assert (decode_image(Image.open(tmp_path / "mask.png")).ids == ours).all()


def test_the_others_take_over_from_a_server_that_stops_answering(masks: Path, tmp_path: Path, small: Settings) -> None:
    with FakeComfy(noise, dies_after=2) as dying, FakeComfy(noise) as living:
        assert made([dying.url, living.url], masks, tmp_path / "out", small) == ["made"] * 10
        assert len(living.prompts) >= 8


def test_when_no_server_answers_the_rest_has_failed(masks: Path, tmp_path: Path, small: Settings) -> None:
    with FakeComfy(noise, dies_after=3) as dying, pytest.raises(BackendError, match="None .* answers any more"):
        made([dying.url], masks, tmp_path / "out", small)
    found = [outcome.status for outcome in outcomes(tmp_path / "out/manifest.jsonl")]
    assert found == ["made"] * 3 + ["failed"] * 7


def test_an_unreachable_server_is_left_out(masks: Path, tmp_path: Path, small: Settings) -> None:
    with FakeComfy(noise) as server:
        assert made(["http://127.0.0.1:9", server.url], masks, tmp_path / "out", small) == ["made"] * 10
    with pytest.raises(BackendError, match=r"There is no ComfyUI at http://127.0.0.1:9 .*: start it"):
        made(["127.0.0.1:9"], masks, tmp_path / "other", small)


def test_a_comfyui_without_the_extension(masks: Path, tmp_path: Path, small: Settings) -> None:
    with FakeComfy(noise, has_pack=False) as server, pytest.raises(BackendError, match="has no ComfyUI-MoGLE"):
        made([server.url], masks, tmp_path / "out", small)


def test_a_nodes_error_is_in_the_manifest(masks: Path, tmp_path: Path, small: Settings) -> None:
    def fails_once(prompt: dict[str, Any]) -> np.ndarray:
        if prompt["sampler"]["inputs"]["seed"] == read_jobs(masks)[4].seed:
            raise ValueError("out of paint")
        return noise(prompt)

    with FakeComfy(fails_once) as server:
        assert made([server.url], masks, tmp_path / "out", small).count("failed") == 1
        errors = [{"message": "Value not in list", "details": "x"}]
        server.refusal = {"node_errors": {"unet": {"class_type": "UNETLoader", "errors": errors}}}
        made([server.url], masks, tmp_path / "refused", small)
    (failed,) = [o for o in outcomes(tmp_path / "out/manifest.jsonl") if o.status == "failed"]
    assert failed.error == "KSampler: out of paint"
    assert {o.error for o in outcomes(tmp_path / "refused/manifest.jsonl")} == {"UNETLoader: Value not in list x"}


def test_without_a_mask_it_is_plain_flux() -> None:
    prompt = comfy_prompt(Job("a", "A face.", 3), Settings(), ComfyFiles(), None)
    assert not any(node["class_type"].startswith("MoGLE") for node in prompt.values())
    assert prompt["shift"]["inputs"]["model"] == ["unet", 0]
    assert prompt["text"]["class_type"] == "FluxGuidance"
    assert prompt["text"]["inputs"]["guidance"] == 3.5


def test_a_server_gives_t5_as_many_tokens_as_this_program_does_by_itself() -> None:
    prompt = comfy_prompt(Job("a", "A face.", 3), Settings(), ComfyFiles(), None)
    tokens = inspect.signature(FluxText).parameters["tokens"].default
    assert prompt["encoded"]["inputs"]["clip"] == ["padded", 0]
    assert prompt["padded"]["inputs"]["min_length"] == tokens == 512


def test_every_link_leads_to_a_node() -> None:
    for files in (TOY_FILES, ComfyFiles()):
        prompt = comfy_prompt(Job("a", "A face.", 3), Settings(), files, "a.png")
        links = [v for node in prompt.values() for v in node["inputs"].values() if isinstance(v, list)]
        assert all(source in prompt for source, _ in links)
        assert prompt["gated"]["inputs"]["strength"] == 1.0
        assert prompt["sampler"]["inputs"]["seed"] == 3
