"""A picture as a ComfyUI prompt in API form, which is sent to servers and stored in the picture's file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .jobs import Job
from .settings import Settings

Prompt = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class ComfyFiles:
    """The models' names in ComfyUI's folders. clip_l, t5xxl: if empty, the toy's text node is used."""

    transformer: str = "flux1-dev.safetensors"
    vae: str = "ae.safetensors"
    clip_l: str = "clip_l.safetensors"
    t5xxl: str = "t5xxl_fp16.safetensors"
    mogle: str = "global_local_mask_moe.pt"
    lora: str = "pytorch_lora_weights.safetensors"
    weight_dtype: str = "default"


T5_TOKENS = 512
"""As many as `mogle generate` gives T5 by itself, and the official pipeline."""
TOY_FILES = ComfyFiles(
    "toy_flux.safetensors", "toy_vae.safetensors", "", "", "toy_mogle.safetensors", "toy_mogle.safetensors"
)
"""The names that `mogle toy install` uses."""


def comfy_prompt(
    job: Job, settings: Settings, files: ComfyFiles, mask: str | None, conditions: Mapping[str, str] | None = None
) -> Prompt:
    """The nodes by number. mask: the label map's name in the server's input folder, None without one.

    conditions: the names of the further conditions' pictures there, by kind.
    """
    prompt: Prompt = {
        "unet": _node("UNETLoader", unet_name=files.transformer, weight_dtype=files.weight_dtype),
        "vae": _node("VAELoader", vae_name=files.vae),
        "latent": _node("EmptySD3LatentImage", width=settings.width, height=settings.height, batch_size=1),
        **_text(job.prompt, settings.guidance, files),
    }
    model, positive = ["unet", 0], ["text", 0]
    if mask is not None or conditions:
        prompt |= _stream(settings, files, mask, conditions or {})
        model, positive = ["gated", 0], ["gated", 1]
    return prompt | {
        "shift": _node(
            "ModelSamplingFlux",
            model=model,
            max_shift=1.15,
            base_shift=0.5,
            width=settings.width,
            height=settings.height,
        ),
        "sampler": _node(
            "KSampler",
            model=["shift", 0],
            positive=positive,
            negative=positive,  # unused because cfg is 1
            latent_image=["latent", 0],
            seed=job.seed,
            steps=settings.steps,
            cfg=1.0,
            sampler_name="euler",
            scheduler="simple",
            denoise=1.0,
        ),
        "decoded": _node("VAEDecode", samples=["sampler", 0], vae=["vae", 0]),
        "picture": _node("PreviewImage", images=["decoded", 0]),
    }


def _text(text: str, guidance: float, files: ComfyFiles) -> Prompt:
    if not files.t5xxl:
        return {"text": _node("MoGLEToyPrompt", text=text, guidance=guidance)}
    return {
        "clip": _node("DualCLIPLoader", clip_name1=files.clip_l, clip_name2=files.t5xxl, type="flux"),
        # ComfyUI pads a prompt to 256 tokens; FLUX.1-dev and the mask's network were trained on 512.
        "padded": _node("T5TokenizerOptions", clip=["clip", 0], min_padding=0, min_length=T5_TOKENS),
        "encoded": _node("CLIPTextEncode", clip=["padded", 0], text=text),
        "text": _node("FluxGuidance", conditioning=["encoded", 0], guidance=guidance),
    }


def _stream(settings: Settings, files: ComfyFiles, mask: str | None, conditions: Mapping[str, str]) -> Prompt:
    """The nodes of the mask stream. The last one that makes its latents is called `latents`, or by the kind of the last
    further condition.
    """
    stream = {} if mask is None else _mask(settings, mask)
    for kind, name in conditions.items():
        before = {"mask_latents": [[*stream][-1], 0]} if stream else {}
        stream |= {
            f"{kind}_image": _node("LoadImage", image=name),
            kind: _node(
                "MoGLEAddCondition",
                image=[f"{kind}_image", 0],
                kind=kind,
                vae=["vae", 0],
                width=0,
                height=0,
                latent=["latent", 0],
                **before,
            ),
        }
    return {
        "mogle": _node("MoGLELoader", mogle_name=files.mogle, gate_timestep="auto"),
        "lora": _node("MoGLELoRAApply", model=["unet", 0], lora_name=files.lora, strength=1.0),
        **stream,
        "gated": _node(
            "MoGLEGatedCondition",
            model=["lora", 0],
            positive=["text", 0],
            mogle=["mogle", 0],
            mask_latents=[[*stream][-1], 0],
            strength=settings.strength,
            start_percent=0.0,
            end_percent=1.0,
            mask_guidance="same as image" if settings.mask_guidance is None else "1",
            **_speed(settings),
        ),
    }


def _mask(settings: Settings, mask: str) -> Prompt:
    return {
        "image": _node("LoadImage", image=mask),
        "masks": _node(
            "MoGLEMaskDecouple", image=["image", 0], label_space="celebamask", local_masks=settings.local_masks
        ),
        "latents": _node("MoGLEEncode", masks=["masks", 0], vae=["vae", 0], width=0, height=0, latent=["latent", 0]),
    }


def _speed(settings: Settings) -> dict[str, object]:
    """Only the settings that differ from their defaults, because servers with an older pack do not know all of them."""
    refresh = {"refresh_every": settings.refresh_every, "refresh_schedule": settings.refresh_schedule}
    fewer = {} if settings.mask_tokens == "full" else {"mask_tokens": settings.mask_tokens}
    return {**({} if settings.refresh.exact else refresh), **fewer}


def _node(kind: str, /, **inputs: object) -> dict[str, Mapping[str, object] | str]:
    return {"class_type": kind, "inputs": inputs}
