"""How many masks a second go through FLUX's VAE at its real size: the core's by diffusers, and ComfyUI's."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from support.counting import allocated, in_rounds
from support.gpu_host import NoHostError, booted
from support.rows import Rows
from torch import Tensor

from gpu_parts.sizes import GIB, pixels

MASKS = 20


def run(rows: Rows) -> None:
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        file = Path(folder) / "ae.safetensors"
        with rows.attempt("the VAE's file"):
            from support.full_files import vae_shapes, write_weights

            write_weights(file, vae_shapes(), torch.float32)
        if not file.is_file():
            return
        with rows.attempt("the core's VAE"):
            from mogle_core.model.encoders.flux_vae import FluxVAE

            vae = FluxVAE(file, rows.device)
            _measured(rows, "core, float32", lambda pictures: vae.encode(pictures).mean)
            vae.release()
        with rows.attempt("ComfyUI's VAE"):
            try:
                booted(rows)
            except NoHostError as error:
                rows.skip("ComfyUI's VAE", str(error))
                return
            import comfy.sd
            from safetensors.torch import load_file

            hosts = comfy.sd.VAE(sd=load_file(file))
            _measured(rows, f"ComfyUI, {hosts.vae_dtype}".replace("torch.", ""), hosts.encode)


def _measured(rows: Rows, whose: str, encode: Callable[[Tensor], Tensor]) -> None:
    for size in pixels(rows):
        with rows.attempt(f"{whose}, {size} px"):
            masks = (torch.rand(1 if rows.small else MASKS, size, size, 3) > 0.5).float()

            def run(masks: Tensor = masks) -> None:
                for mask in masks:
                    encode(mask[None])

            taken = allocated(run, rows.device)
            (times,) = in_rounds({"": run}, 1 if rows.small else 3, rows.device).values()
            rows.tell(f"{whose}, {size} px", len(masks) / min(times), "masks/s", peak_gib=taken / GIB)
