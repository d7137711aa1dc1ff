"""Whether the core computes on this device what it has to: the official numbers, half precision, fp8, the toy."""

from __future__ import annotations

import torch
from support.golden import (
    CASES,
    SETTINGS,
    STEPS,
    VARIANTS,
    read_lora,
    read_network,
    read_transformer,
    reference_frequencies,
    stream_options,
)
from support.rows import Rows, largest, relative
from torch import Tensor

from mogle_core.model.flux.frozen import load_base, replace_linears
from mogle_core.model.flux.model import Flux
from mogle_core.model.fp8 import Fp8Linear, narrowed, widened
from mogle_core.model.mixture import network
from mogle_core.model.sampling import sampler
from mogle_core.model.sampling.options import SamplingOptions
from mogle_core.model.sampling.sigmas import euler
from mogle_core.model.stream.condition import MaskCondition
from mogle_core.model.stream.transformer import blocks_of
from mogle_core.toy.places import FILES, WEIGHTS

WORST = 2e-5
"""Of float32 against the official code's CPU: twice what another order of summation explains on a CPU."""
NARROW = 3e-2
"""Of bf16 against float64, in units of the result; bf16 itself has 2^-8."""


def run(rows: Rows) -> None:
    frequencies = reference_frequencies(network)
    network._frequencies = lambda device: frequencies.to(device)
    for attempt in (steps, trajectory, gradients, half_precision, plain, streams, offloaded, toy):
        with rows.attempt(attempt.__doc__ or ""), torch.no_grad():
            attempt(rows)


def velocity(
    flux: Flux, case: str, device: torch.device, dtype: torch.dtype = torch.float32, mask: bool = True
) -> Tensor:
    """A case's velocity with its mask, from the network's tokens on."""
    given = {name: tensor.to(device, dtype) for name, tensor in CASES[case].items()}
    settings, batch = SETTINGS[case], len(given["pooled"])

    def full(value: float) -> Tensor:
        # As the samplers give times: bf16 would round a time of 970 to a multiple of 4.
        return torch.full((batch,), value, device=device, dtype=torch.float64 if dtype == torch.float64 else None)

    condition = None
    if mask:
        mogle = read_network(VARIANTS.get(case)).to(device, dtype)
        tokens = mogle(given["condition_latents"], given["noise_latents"], full(settings["gate_timestep"]))
        lora = read_lora().to(device, dtype).low_rank()
        condition = MaskCondition(tokens, tuple(settings["grid"]), lora, stream_options(case))
    out: Tensor = flux(
        given["noise_latents"], given["context"], full(settings["t"]), given["pooled"], tuple(settings["grid"]),
        full(settings["guidance"]), condition,
    )  # fmt: skip
    return out


def steps(rows: Rows) -> None:
    """golden steps"""
    flux = read_transformer().to(rows.device)
    for name, grad in (("inference", False), ("autograd", True)):
        with torch.set_grad_enabled(grad):
            off = {case: largest(velocity(flux, case, rows.device), CASES[case]["velocity"]) for case in STEPS}
        worst = max(off, key=off.__getitem__)
        rows.check(f"golden velocities, float32, {name}", off[worst], WORST, cases=len(off), worst=worst)


def trajectory(rows: Rows) -> None:
    """golden trajectory"""
    case = {name: tensor.to(rows.device) for name, tensor in CASES["euler4"].items()}
    settings, flux = SETTINGS["euler4"], read_transformer().to(rows.device)
    mogle, low_rank = read_network().to(rows.device), read_lora().to(rows.device).low_rank()
    outputs, grid = mogle.expert_outputs(case["condition_latents"]), tuple(settings["grid"])

    def predict(x: Tensor, sigma: Tensor) -> Tensor:
        tokens = mogle.blend(outputs, mogle.gate_weights(case["condition_latents"][:, 0], x, sigma * 1000))
        mask = MaskCondition(tokens, grid, low_rank, stream_options("euler4"))
        guidance = torch.full_like(sigma, settings["guidance"])
        out: Tensor = flux(x, case["context"], sigma, case["pooled"], grid, guidance, mask)
        return out

    found = list(euler(predict, case["noise_latents"], case["sigmas"]))
    off = max(largest(ours, theirs) for ours, theirs in zip(found, case["trajectory"], strict=True))
    rows.check("golden trajectory, float32", off, WORST, steps=len(found))


@torch.enable_grad()
def gradients(rows: Rows) -> None:
    """golden training step"""
    case = {name: tensor.to(rows.device) for name, tensor in CASES["training_step"].items()}
    settings, flux = SETTINGS["training_step"], read_transformer().to(rows.device)
    mogle, lora = read_network().to(rows.device), read_lora().to(rows.device)
    grid, t = tuple(settings["grid"]), case["t"]
    noisy = torch.lerp(case["x0"], case["noise"], t[:, None, None])
    tokens = mogle(case["condition_latents"], noisy, t)
    mask = MaskCondition(tokens, grid, lora.low_rank(), stream_options("training_step"))
    guidance = torch.full_like(t, settings["guidance"])
    out = flux(noisy, case["context"], t, case["pooled"], grid, guidance, mask)
    loss = torch.nn.functional.mse_loss(out, case["noise"] - case["x0"])
    loss.backward()
    rows.check("golden loss, float32", largest(loss[None], case["loss"]), 1e-4)
    found = {name: parameter.grad for name, parameter in mogle.named_parameters()}
    official = network.to_official(found, mogle.config)
    off = max(largest(gradient, case[f"grad.mogle.{name}"]) for name, gradient in official.items())
    rows.check("golden gradients of the network, float32", off, 1e-4, tensors=len(official))


def half_precision(rows: Rows) -> None:
    """bf16 and fp8 against float64"""
    bf16, exact = torch.bfloat16, read_transformer().double()
    narrow, rounded = read_transformer().to(rows.device, bf16), read_transformer().double()
    for ours, wide in zip(blocks_of(narrow).values(), blocks_of(rounded).values(), strict=True):
        replace_linears(ours, Fp8Linear)
        for module in wide.modules():
            if isinstance(module, torch.nn.Linear):
                # What the 8 bits are worth; their own error is not this test's.
                module.weight.data = widened(*narrowed(module.weight.data.to(bf16)), torch.float64)
    half = read_transformer().to(rows.device, bf16)
    for name, model, reference in (("bf16", half, exact), ("fp8 weights", narrow, rounded)):
        off = {}
        for case in STEPS:
            expected = velocity(reference, case, torch.device("cpu"), torch.float64)
            off[case] = relative(velocity(model, case, rows.device, bf16), expected)
        worst = max(off, key=lambda case: off[case])
        rows.check(f"velocities in {name} against float64", off[worst], NARROW, "of it", worst=worst)


class _Models:
    def __init__(self, device: torch.device) -> None:
        from mogle_core.model.checkpoints.recipe import Recipe

        self.flux, self.recipe = read_transformer().to(device), Recipe()
        self.network, self.lora = read_network().to(device), read_lora().to(device)


def plain(rows: Rows) -> None:
    """strength 0 and plain FLUX"""
    case = {name: tensor.to(rows.device) for name, tensor in CASES["euler4"].items()}
    rows_, columns = SETTINGS["euler4"]["grid"]
    models, text = _Models(rows.device), (case["context"], case["pooled"])
    noise = torch.randn(1, 16, 2 * rows_, 2 * columns, generator=torch.Generator().manual_seed(0)).to(rows.device)
    masks = case["condition_latents"][:1]
    text = (text[0][:1], text[1][:1])

    def sampled(masks: Tensor | None, **options: float) -> Tensor:
        return sampler.sample(models, masks, text, noise, SamplingOptions(3, 3.5, **options))

    alone = sampled(None)
    rows.holds("strength 0 is plain FLUX, to the bit", torch.equal(sampled(masks, strength=0.0), alone))
    rows.holds("plain FLUX after a run with a mask, to the bit", torch.equal(sampled(None), alone))
    rows.holds("the mask matters", relative(sampled(masks), alone) > 1e-2)
    rows.holds("the same run twice, to the bit", torch.equal(sampled(masks), sampled(masks)))


def streams(rows: Rows) -> None:
    """a CUDA stream of its own"""
    if not rows.cuda:
        rows.skip("on a second CUDA stream", "this device has no streams")
        return
    flux = read_transformer().to(rows.device)
    expected = velocity(flux, "default", rows.device)
    torch.cuda.synchronize()
    with torch.cuda.stream(torch.cuda.Stream(rows.device)):
        found = velocity(flux, "default", rows.device)
    torch.cuda.synchronize()
    rows.holds("on a second CUDA stream, to the bit", torch.equal(found, expected))


def offloaded(rows: Rows) -> None:
    """waiting blocks"""
    for kind in ("bf16", "fp8"):
        found = []
        for waiting in (0, 3):
            flux = load_base(WEIGHTS / FILES["flux"], kind, rows.device, waiting, recompute=waiting > 0)
            found.append(_toy_step(flux, rows.device))
        off = relative(found[1], found[0])
        rows.check(f"{kind}, blocks that wait in host memory", off, 1e-6, "of it", equal=torch.equal(*found))


def _toy_step(flux: Flux, device: torch.device) -> Tensor:
    rng, like = torch.Generator().manual_seed(1), flux.img_in.weight
    image, text, pooled = (torch.randn(1, *shape, generator=rng).to(like) for shape in ((16, 64), (16, 96), (64,)))
    time = torch.full((1,), 0.6, device=device, dtype=like.dtype)
    out: Tensor = flux(image, text, time, pooled, (4, 4), time, MaskCondition(image, (4, 4)))
    return out


def toy(rows: Rows) -> None:
    """toy pictures"""
    from PIL import Image

    from mogle_core.masks.decode import decode_image
    from mogle_core.toy.install import EXAMPLE_MASK
    from mogle_core.toy.world import generate, load_world

    side = 64 if rows.small else 128
    with Image.open(EXAMPLE_MASK) as mask:
        ids = decode_image(mask.resize((side, side), Image.Resampling.NEAREST)).ids[:1].expand(2, -1, -1)
    prompts = ["A woman with red hair.", "A man with black hair."]

    def pictures(device: torch.device) -> Tensor:
        made: Tensor = generate(
            load_world(WEIGHTS, device), ids, prompts, [1, 2], SamplingOptions(2 if rows.small else 10)
        )
        return made.float()

    found, expected = pictures(rows.device), pictures(torch.device("cpu"))
    off = float((found - expected).abs().mean())
    rows.check("toy pictures against the CPU's, mean difference", off, 1.0, "of 255", pictures=len(prompts))
