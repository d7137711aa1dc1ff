"""Small models in a real ComfyUI, and sampling from them with its real samplers. Needs a running host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import comfy.controlnet
import comfy.model_management
import comfy.model_patcher
import comfy.sample
import comfy.samplers
import comfy.sd
import comfy.supported_models
import comfy.utils
import torch
from comfy.ldm.flux.model import FluxParams
from safetensors.torch import load_file
from torch import Tensor

from support.places import DATA
from support.small_weights import LATENT_CHANNELS, TINY, FluxSizes, flux_weights, sizes_of, taesd_weights

GOLDEN = DATA / "golden"
Conditioning = list[list[Any]]
LATENT_SCALE = 8  # pixels a latent cell


def tiny_flux(
    weights: Mapping[str, Tensor] | None = None,
    *,
    sizes: FluxSizes | None = None,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    compute: torch.dtype | None = None,
    device: torch.device | None = None,
) -> Any:
    """A FLUX.1 as a loader node returns it (a ModelPatcher), of any size, on any host.

    weights: state dict in the single-file naming; random from `sizes` and `seed` if left out.
    compute: the dtype to which weights are cast for use, as with fp8 weights; None computes in `dtype`.
    device: where the model is sampled; None is the device that the host chose.
    """
    if weights is None:
        weights = flux_weights(sizes or TINY, seed)
    outlined = comfy.supported_models.Flux(outline(sizes or sizes_of(weights)))
    outlined.set_inference_dtype(dtype, compute)
    model = outlined.get_model({}, "").eval()
    made = patcher(model, device)
    # As core's loaders: DynamicVRAM's patcher comes before the weights, which it takes as they are.
    dynamic = hasattr(made, "is_dynamic") and made.is_dynamic()
    model.load_model_weights(dict(weights), "", **({"assign": True} if dynamic else {}))
    return made


def patcher(model: Any, device: torch.device | None = None) -> Any:
    """The model under ComfyUI's memory management."""
    kind = getattr(comfy.model_patcher, "CoreModelPatcher", comfy.model_patcher.ModelPatcher)
    own, waiting = comfy.model_management.get_torch_device(), torch.device("cpu")
    return kind(model, load_device=own if device is None else device, offload_device=waiting)


def outline(sizes: FluxSizes) -> dict[str, Any]:
    """The configuration of the model as ComfyUI's detection would write it."""
    found = {
        "image_model": "flux", "in_channels": 16, "out_channels": 16, "patch_size": 2, "mlp_ratio": 4.0,
        "theta": 10000, "qkv_bias": True, "guidance_embed": sizes.guidance, "hidden_size": sizes.hidden,
        "num_heads": sizes.heads, "axes_dim": list(sizes.axes), "depth": sizes.double,
        "depth_single_blocks": sizes.single, "context_in_dim": sizes.context, "vec_in_dim": sizes.pooled,
    }  # fmt: skip
    if "txt_ids_dims" in FluxParams.__dataclass_fields__:
        found["txt_ids_dims"] = []
    return found


def golden_flux(**options: Any) -> Any:
    """The model of the golden numbers. The options are those of `tiny_flux`."""
    return tiny_flux(load_file(GOLDEN / "flux_tiny.safetensors"), **options)


def tiny_vae(seed: int = 0, latent_channels: int = LATENT_CHANNELS) -> Any:
    """The VAE that VAELoader makes from a random TAESD file."""
    return comfy.sd.VAE(sd=taesd_weights(seed, latent_channels))


def with_lora(model: Any, lora: Mapping[str, Tensor], strength: float = 1.0) -> Any:
    """Applies a LoRA like LoraLoaderModelOnly."""
    return comfy.sd.load_lora_for_models(model, None, dict(lora), strength, 0)[0]


def conditioning(
    seed: int, sizes: FluxSizes = TINY, tokens: int = 8, guidance: float = 3.5, **more: Any
) -> Conditioning:
    """Random text conditioning with one entry. `more` is added to its dictionary."""
    generator = torch.Generator().manual_seed(seed)
    context = torch.randn(1, tokens, sizes.context, generator=generator)
    pooled = torch.randn(1, sizes.pooled, generator=generator)
    return [[context, {"pooled_output": pooled, "guidance": guidance, **more}]]


class _Residuals(comfy.controlnet.ControlBase):
    def __init__(self, own: dict[str, list[Tensor | None]]) -> None:
        super().__init__()
        self.residuals = own

    def get_control(self, x: Tensor, *args: Any) -> dict[str, list[Tensor | None]]:
        return {name: [one if one is None else one.to(x) for one in own] for name, own in self.residuals.items()}


def residuals(tokens: int, width: int = TINY.hidden) -> comfy.controlnet.ControlBase:
    """A ControlNet as the sampler sees one: fixed residuals for one double and one single block."""
    drawn = torch.randn(1, tokens, width, generator=torch.Generator().manual_seed(9))
    return _Residuals({"input": [0.3 * drawn], "output": [None, 0.2 * drawn]})


def empty_latent(height: int = 64, width: int = 64, batch: int = 1) -> dict[str, Tensor]:
    """height, width in pixels, as in EmptySD3LatentImage."""
    return {"samples": torch.zeros(batch, LATENT_CHANNELS, height // LATENT_SCALE, width // LATENT_SCALE)}


def sample(
    model: Any,
    positive: Conditioning,
    negative: Conditioning | None = None,
    latent: dict[str, Tensor] | None = None,
    *,
    seed: int = 0,
    steps: int = 2,
    cfg: float = 1.0,
    sampler: str = "euler",
    scheduler: str = "simple",
    denoise: float = 1.0,
) -> Tensor:
    """The latent (B, 16, H/8, W/8) that KSampler returns. Without a latent it has 64 by 64 pixels."""
    import nodes

    latent, negative = latent or empty_latent(), positive if negative is None else negative
    with torch.inference_mode():
        sampled = nodes.common_ksampler(
            model, seed, steps, cfg, sampler, scheduler, positive, negative, latent, denoise=denoise
        )
    return sampled[0]["samples"]


def trajectory(
    model: Any,
    start: Tensor,
    sigmas: Sequence[float],
    positive: Conditioning,
    negative: Conditioning | None = None,
    cfg: float = 1.0,
) -> list[Tensor]:
    """Euler's steps from `start` (B, 16, h, w) over given sigmas: the latents in model space, `start` first.

    They pass through all of ComfyUI's sampling, and so through every wrapper of the model.
    """
    latents: list[Tensor] = []
    with torch.inference_mode():
        end = comfy.sample.sample_custom(
            model, start / sigmas[0], cfg, comfy.samplers.sampler_object("euler"), torch.as_tensor(sigmas),
            positive, positive if negative is None else negative, torch.zeros_like(start), disable_pbar=True,
            callback=lambda step, denoised, x, steps: latents.append(x.clone()),
        )  # fmt: skip
    return [*latents, model.model.process_latent_in(end)]


def velocity(model: Any, x: Tensor, t: float, positive: Conditioning) -> Tensor:
    """The model's velocity at x (B, 16, h, w), in model space, and time t, computed from one step to 0."""
    return (x - trajectory(model, x, [t, 0.0], positive)[-1]) / t


def unpacked(tokens: Tensor, rows: int, columns: int) -> Tensor:
    """Tokens (B, rows * columns, 64) to a latent (B, 16, 2 rows, 2 columns)."""
    grid = tokens.unflatten(2, (LATENT_CHANNELS, 2, 2)).unflatten(1, (rows, columns))
    return grid.permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)


def packed(latent: Tensor) -> Tensor:
    """The inverse of `unpacked`: (B, 16, h, w) to (B, h/2 * w/2, 64)."""
    grid = latent.unflatten(3, (-1, 2)).unflatten(2, (-1, 2))
    return grid.permute(0, 2, 4, 1, 3, 5).flatten(3, 5).flatten(1, 2)
