"""Whether ComfyUI with the nodes computes on this device what it has to, against the official numbers and the CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from support.golden import CASES, SETTINGS, reference_frequencies
from support.gpu_host import NoHostError, booted
from support.host_scene import Scene
from support.rows import Rows, largest, relative
from torch import Tensor

WORST = 2e-5
NARROW = 1e-2
DRIFT = 1e-4
"""Of float32 runs of three steps on two devices, in units of the result."""
CPU = torch.device("cpu")
Way = Callable[[Any], Tensor]


def run(rows: Rows) -> None:
    try:
        comfy = booted(rows)
    except NoHostError as error:
        rows.skip("all of it", str(error))
        return
    network = comfy.module("mogle_core.model.mixture.network")
    frequencies = reference_frequencies(network)
    network._frequencies = lambda device: frequencies.to(device)
    scene = Scene(comfy)
    with rows.attempt("golden numbers"):
        golden(rows, scene)
    with rows.attempt("half precision"):
        half_precision(rows, scene)
    with rows.attempt("to the bit"):
        to_the_bit(rows, scene)
    for name, way in ways(scene).items():
        with rows.attempt(f"on this device as on the CPU: {name}"):
            compared(rows, name, way)


def golden(rows: Rows, scene: Scene) -> None:
    from support import tiny

    for case in ("default", "batch2_early", "late_gate01", "strength_half", "strength_1_7"):
        off = largest(_velocity(scene, case, tiny.golden_flux()), CASES[case]["velocity"])
        rows.check(f"golden velocity through the nodes, float32: {case}", off, WORST)
    model, positive = scene.golden("euler4", tiny.golden_flux())
    start = tiny.unpacked(CASES["euler4"]["noise_latents"], *SETTINGS["euler4"]["grid"])
    found = tiny.trajectory(model, start, CASES["euler4"]["sigmas"], positive)[1:]
    pairs = zip(found, CASES["euler4"]["trajectory"], strict=True)
    off = max(largest(tiny.packed(ours), theirs) for ours, theirs in pairs)
    rows.check("golden trajectory through the nodes, float32", off, WORST)


def _velocity(scene: Scene, case: str, model: Any, mask: bool = True) -> Tensor:
    from support import tiny

    settings, tensors = SETTINGS[case], CASES[case]
    positive = [[tensors["context"], {"pooled_output": tensors["pooled"], "guidance": settings["guidance"]}]]
    if mask:
        model, positive = scene.golden(case, model)
    noisy = tiny.unpacked(tensors["noise_latents"], *settings["grid"])
    return tiny.packed(tiny.velocity(model, noisy, settings["t"], positive))


def half_precision(rows: Rows, scene: Scene) -> None:
    """bf16, and fp8 weights whose own rounding the reference has as well: that in float32, on the CPU.

    Plain FLUX is off as well, as ComfyUI rounds its time to the model's dtype: the mask may add little to that.
    """
    from support import tiny
    from support.masked import as_file

    fp8, bf16 = torch.float8_e4m3fn, torch.bfloat16
    full = tiny.golden_flux(device=CPU).model.diffusion_model.state_dict()
    rounded = {name: tensor.to(fp8).float() for name, tensor in full.items()}
    kinds = {
        "bf16": (tiny.golden_flux(dtype=bf16), tiny.golden_flux(device=CPU)),
        "fp8 weights": (tiny.golden_flux(dtype=fp8, compute=bf16), tiny.tiny_flux(as_file(rounded), device=CPU)),
    }
    for name, pair in kinds.items():
        plain = relative(*(_velocity(scene, "default", model, mask=False) for model in pair))
        off = relative(*(_velocity(scene, "default", model) for model in pair))
        rows.check(f"velocity through the nodes in {name}", off, 1.5 * plain + NARROW, "of it", plain_flux=plain)


def to_the_bit(rows: Rows, scene: Scene) -> None:
    from support import tiny
    from support.masked import POSITIVE, run

    base, masks = tiny.golden_flux(), scene.latents(1)
    plain = run(base, POSITIVE)
    model, positive, *_ = scene.gated(base, POSITIVE, masks, strength=0.0)
    rows.holds("strength 0 is plain FLUX, to the bit", torch.equal(run(model, positive), plain))
    model, positive, *_ = scene.gated(base, POSITIVE, masks, start_percent=0.999)
    rows.holds("outside the time window is plain FLUX, to the bit", torch.equal(run(model, positive), plain))
    model, positive, *_ = scene.gated(base, POSITIVE, masks)
    masked = run(model, positive)
    rows.holds("the mask matters", relative(masked, plain) > 1e-3)
    rows.holds("plain FLUX after a run with a mask, to the bit", torch.equal(run(base, POSITIVE), plain))
    rows.holds("queued twice, to the bit", torch.equal(run(model, positive), masked))
    other, *_ = scene.gated(base, POSITIVE, masks, refresh_every=1, refresh_schedule="dense early")
    rows.holds("speed options at their defaults, to the bit", torch.equal(run(other, positive), masked))


def ways(scene: Scene) -> dict[str, Way]:
    """What people do beside the plain mask stream: each a run on a given base model."""
    from support import tiny
    from support.masked import HEIGHT, NEGATIVE, POSITIVE, WIDTH, mask_ids, run
    from support.small_weights import TINY, lora_weights

    masks, node = scene.latents(1), scene.comfy.node
    (regions,) = node("MoGLERegions")(region="full mask", strength=0.5)
    (regions,) = node("MoGLERegions")(region="hair", strength=0.3, end_percent=0.7, regions=regions)
    region = scene.comfy.module("mogle_core.masks.labels").CLASS_NAMES[int(mask_ids(1).flatten()[0])]
    (prompts,) = node("MoGLERegionPrompt")(region=region, conditioning=tiny.conditioning(7, tokens=5))
    reference = torch.randn(1, 16, HEIGHT // 8, WIDTH // 8, generator=torch.Generator().manual_seed(5))

    def way(positive: list = POSITIVE, settings: dict[str, Any] | None = None, **inputs: Any) -> Way:
        def sampled(base: Any) -> Tensor:
            model, masked, negative, *_ = scene.gated(base, positive, masks, **inputs)
            given = negative if "negative" in inputs else None
            return run(model, masked, given, **(settings or {}))

        return sampled

    def by_areas(base: Any) -> Tensor:
        sides = []
        for number in range(2):
            own = scene.latents(number, width=2 * WIDTH)
            model, masked, *_ = scene.gated(base, tiny.conditioning(number), own)
            area = {"width": WIDTH, "height": HEIGHT, "x": number * WIDTH, "y": 0, "strength": 1.0}
            sides.append(node("ConditioningSetArea")(conditioning=masked, **area)[0])
        (together,) = node("ConditioningCombine")(conditioning_1=sides[0], conditioning_2=sides[1])
        return tiny.sample(model, together, None, tiny.empty_latent(HEIGHT, 2 * WIDTH), steps=2)

    def styled(base: Any) -> Tensor:
        return way()(tiny.with_lora(base, lora_weights(TINY, seed=3, rank=2), 0.8))

    return {
        "mask stream": way(),
        "weak, a bias for each stream": way(strength=0.4),
        "strong, a bias for each stream": way(strength=1.7),
        "image and mask in separate calls": way(separate_calls=True),
        "negative with a mask, cfg 3": way(settings={"cfg": 3.0}, negative=NEGATIVE),
        "two conditionings by areas": by_areas,
        "regions": way(regions=regions),
        "region prompts": way(region_prompts=prompts),
        "ControlNet residuals": way(tiny.conditioning(1, control=tiny.residuals(HEIGHT * WIDTH // 256))),
        "a reference latent": way(tiny.conditioning(1, reference_latents=[reference])),
        "an ordinary LoRA": styled,
        "refresh_every 2": way(settings={"steps": 4}, refresh_every=2),
        "mask_tokens half": way(mask_tokens="half"),
    }


def compared(rows: Rows, name: str, way: Way) -> None:
    from support import tiny

    expected = way(tiny.golden_flux(device=CPU))
    rows.check(f"on this device as on the CPU: {name}", relative(way(tiny.golden_flux()), expected), DRIFT, "of it")
