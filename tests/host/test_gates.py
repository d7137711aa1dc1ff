"""The gate's record from sampling to Gate Maps: made only if it is used, and stored between runs."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support.comfy_server import PromptFailedError, Server
from support.masked import HEIGHT, NEGATIVE, POSITIVE, WIDTH, run
from support.templates import template
from support.workflows import as_prompt, read

from mogle_core.toy.install import install

TEMPLATE = template("Mask and text")
STEPS = 6


@pytest.fixture
def maps(comfy) -> Any:
    return comfy.node("MoGLEGateMaps")


def linked(output: int, *others: dict[str, Any]) -> dict[str, Any]:
    """A prompt in which the output of node 7 is connected to Gate Maps."""
    nodes = [{"class_type": "MoGLEGateMaps", "inputs": {"gates": ["7", output], "steps": 3}}, *others]
    return {"7": {"class_type": "MoGLEGatedCondition", "inputs": {"strength": 1.0}}} | dict(enumerate(nodes))


def test_only_a_connected_output_is_recorded(comfy) -> None:
    recording = comfy.module("nodes.host.gate_output")
    assert recording.asks_for_gates(linked(3), "7")
    assert not recording.asks_for_gates(linked(0), "7")
    assert not recording.asks_for_gates({"7": {}, "8": {"inputs": {"gates": ["17", 3]}}}, "7")
    # Run by another node, or by no prompt at all: nobody can tell.
    assert recording.asks_for_gates(linked(0), "7.0.1") and recording.asks_for_gates(None, None)


def test_a_queued_prompt_says_whether_the_gates_are_connected(comfy) -> None:
    """The key of a cached Gated Condition must change when they are connected."""
    marked = comfy.module("nodes.host.gate_output").marked
    plain, asked = (marked({"prompt": linked(output)})["prompt"] for output in (0, 3))
    assert plain["7"]["inputs"] != asked["7"]["inputs"]
    assert plain[0]["inputs"]["steps"] == 3 and len(plain[0]["inputs"]) == 2
    for nonsense in ({}, {"prompt": None}, {"prompt": {"1": "x", "2": {"class_type": "MoGLEGatedCondition"}}}):
        marked(nonsense)


def test_nothing_is_recorded_for_an_unconnected_output(base, gated, latents, comfy, monkeypatch) -> None:
    """Neither a tensor nor a step, and the image is the same to the bit."""
    model, positive, _, gates = gated(base, POSITIVE, latents(1))
    with_record = run(model, positive, steps=STEPS)
    assert len(gates.steps) == STEPS
    kept: list[Any] = []
    record = comfy.module("mogle_core.model.mixture.gate_record").GateRecord
    for name in ("start", "add", "finish"):
        monkeypatch.setattr(record, name, lambda *_: kept.append(_))
    monkeypatch.setattr(comfy.module("nodes.condition").host, "asks_for_gates", lambda *_: False)
    model, positive, _, gates = gated(base, POSITIVE, latents(1))
    assert torch.equal(run(model, positive, steps=STEPS), with_record)
    assert kept == [] and gates.steps == [] and gates.bytes == 0


def test_the_record_keeps_within_its_bound(base, gated, latents) -> None:
    model, positive, _, gates = gated(base, POSITIVE, latents(1))
    run(model, positive, steps=STEPS)
    one = gates.steps[0].bytes
    assert gates.bytes == STEPS * one <= gates.budget
    gates.budget = 2 * one
    run(model, positive, steps=STEPS)
    assert gates.bytes == 2 * one and gates.dropped == STEPS - 2


def test_maps_and_winners_are_pictures_of_the_last_run(base, gated, latents, maps, comfy) -> None:
    model, positive, negative, gates = gated(base, POSITIVE, latents(1), negative=NEGATIVE)
    samples = {"samples": run(model, positive, negative, batch=2, steps=STEPS, cfg=2.0)}
    first, winners = maps(gates=gates, samples=samples, steps=3)
    assert first.shape[0] == winners.shape[0] == 1 and first.shape[-1] == winners.shape[-1] == 3
    assert float(first.min()) >= 0 and float(first.max()) <= 1
    second, _ = maps(gates=gates, samples=samples, steps=3, batch_index=1)
    assert not torch.equal(first, second)
    fewer, _ = maps(gates=gates, samples=samples, steps=1, regions="hair, full mask")
    assert fewer.shape[1] < first.shape[1] and fewer.shape[2] < first.shape[2]
    photo = torch.rand(2, 8 * HEIGHT, 8 * WIDTH, 3)
    assert not torch.equal(maps(gates=gates, samples=samples, steps=3, image=photo)[0], first)
    assert not torch.equal(maps(gates=gates, samples=samples, steps=3, one_scale=True)[0], first)
    with pytest.raises(ValueError, match="batch_index is 2, and the run made 2"):
        maps(gates=gates, samples=samples, steps=3, batch_index=2)
    # Drawn again without sampling, they are the same.
    assert torch.equal(maps(gates=gates, samples=samples, steps=3)[0], first)
    frames = comfy.module("mogle_core.model.mixture.gate_maps").read_gates(gates)
    assert len(frames) == STEPS


def test_each_latent_shows_its_own_run(base, gated, latents, maps) -> None:
    """Two samplers on one Gated Condition, and a result that comes from the cache after the other one ran."""
    model, positive, _, gates = gated(base, POSITIVE, latents(1))
    first = run(model, positive, steps=STEPS, seed=1)
    shown = maps(gates=gates, samples={"samples": first}, steps=3)[0]
    second = run(model, positive, steps=STEPS, seed=2)
    assert torch.equal(maps(gates=gates, samples={"samples": first.clone()}, steps=3)[0], shown)
    assert not torch.equal(maps(gates=gates, samples={"samples": second}, steps=3)[0], shown)
    assert torch.equal(maps(gates=gates, samples={"samples": first.half()}, steps=3)[0], shown)
    with pytest.raises(ValueError, match="none of the runs on record made these samples"):
        maps(gates=gates, samples={"samples": second + 1}, steps=3)


def test_either_output_of_a_custom_sampler_is_found(base, gated, latents, maps, comfy) -> None:
    model, positive, _, gates = gated(base, POSITIVE, latents(1))
    sampling = __import__("comfy_extras.nodes_custom_sampler", fromlist=["x"])
    noise, guider = sampling.Noise_RandomNoise(3), sampling.Guider_Basic(model)
    guider.set_conds(positive)
    sigmas = torch.tensor([1.0, 0.7, 0.4, 0.2])  # it stops early, so that the two outputs differ
    sampler = __import__("comfy.samplers", fromlist=["x"]).sampler_object("euler")
    latent = {"samples": torch.zeros(1, 16, HEIGHT // 8, WIDTH // 8)}
    output, denoised = comfy.node("SamplerCustomAdvanced")(
        noise=noise, guider=guider, sampler=sampler, sigmas=sigmas, latent_image=latent
    )
    assert not torch.equal(output["samples"], denoised["samples"])
    shown = [maps(gates=gates, samples=samples, steps=3)[0] for samples in (output, denoised)]
    assert torch.equal(*shown)


def test_without_a_run_the_error_says_what_to_connect(base, gated, latents, maps) -> None:
    _, _, _, gates = gated(base, POSITIVE, latents(1))
    with pytest.raises(ValueError, match="The gate recorded nothing. Connect samples to the sampler"):
        maps(gates=gates, samples={"samples": torch.zeros(1, 16, 8, 8)}, steps=3)


@pytest.fixture(scope="module")
def toy(server: Server) -> dict[str, Any]:
    """The toy's template in API form, on a server that has its files."""
    install(server.base, force=True)
    prompt = as_prompt(*read(TEMPLATE), server.get("/object_info"))
    prompt["13"]["inputs"]["steps"] = STEPS
    return prompt


def with_maps(toy: dict[str, Any], seed: int, **inputs: Any) -> dict[str, Any]:
    """The template with Gate Maps after the sampler, and the maps saved."""
    prompt = json.loads(json.dumps(toy))
    prompt["13"]["inputs"]["seed"] = seed
    given = {"gates": ["11", 3], "samples": ["13", 0], "regions": "strongest", "steps": 3} | inputs
    prompt["20"] = {"class_type": "MoGLEGateMaps", "inputs": given}
    prompt["21"] = {"class_type": "SaveImage", "inputs": {"images": ["20", 0], "filename_prefix": "maps"}}
    return prompt


def ran(server: Server, prompt: dict[str, Any]) -> tuple[set[str], dict[str, Any]]:
    """The nodes that were not cached, and the outputs."""
    queued = server.queue(prompt)
    outputs = server.wait_for(queued)
    messages = dict(server.get(f"/history/{queued}")[queued]["status"]["messages"])
    return set(prompt) - set(messages["execution_cached"]["nodes"]), outputs


def shown(server: Server, outputs: dict[str, Any], node: str = "21") -> np.ndarray:
    return np.array(Image.open(io.BytesIO(server.picture(outputs[node]["images"][0]))))


@pytest.mark.server
def test_maps_of_a_cached_run_are_the_same(server: Server, toy: dict[str, Any]) -> None:
    _, outputs = ran(server, with_maps(toy, 101))
    first = shown(server, outputs)
    assert len(outputs["20"]["images"]) == 2  # the node shows maps and winners itself
    nodes, outputs = ran(server, with_maps(toy, 101, one_scale=True))
    assert "13" not in nodes and "20" in nodes
    assert not np.array_equal(shown(server, outputs), first)
    nodes, outputs = ran(server, with_maps(toy, 101))
    assert "13" not in nodes
    assert np.array_equal(shown(server, outputs), first)
    # A new run is a new record.
    nodes, outputs = ran(server, with_maps(toy, 102))
    assert "13" in nodes and "11" not in nodes
    assert not np.array_equal(shown(server, outputs), first)


@pytest.mark.server
def test_adding_the_node_later_samples_again_for_it(server: Server, toy: dict[str, Any]) -> None:
    """The run without it recorded nothing, so there is nothing to show."""
    plain = json.loads(json.dumps(toy))
    plain["13"]["inputs"]["seed"] = 103
    ran(server, plain)
    assert not ran(server, plain)[0] & {"11", "13"}
    nodes, outputs = ran(server, with_maps(toy, 103))
    assert {"11", "13", "20"} <= nodes and shown(server, outputs).ndim == 3


@pytest.mark.server
def test_an_unknown_region_fails_at_the_node(server: Server, toy: dict[str, Any]) -> None:
    with pytest.raises(PromptFailedError, match="there is no region 'beard'") as failure:
        server.run(with_maps(toy, 101, regions="beard"))
    assert failure.value.node_type == "MoGLEGateMaps"


def test_the_template_is_the_right_one() -> None:
    nodes, _ = read(Path(TEMPLATE))
    assert (nodes[11]["type"], nodes[13]["type"]) == ("MoGLEGatedCondition", "KSampler")
