"""Packs whose nodes need weights that are not here: their own classes at the small model's sizes, with random weights.

Used by `packs_matrix.py`. Each function takes the module of the loaded pack and a MODEL, and returns a MODEL.
"""

from __future__ import annotations

import sys
import tempfile
import types
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

CONTEXT = 32  # the width of an image prompt; any


def ip_adapter(pack: ModuleType, model: Any) -> Any:
    """ComfyUI-IPAdapter-Flux: as ApplyIPAdapterFlux does after it has looked at the picture."""
    processors = import_module(f"{pack.__name__}.attention_processor")
    utils = import_module(f"{pack.__name__}.utils")
    torch.manual_seed(1)
    hidden, transformer = model.model.diffusion_model.hidden_size, model.model.diffusion_model
    names = [f"double_blocks.{i}" for i in range(len(transformer.double_blocks))]
    names += [f"single_blocks.{i}" for i in range(len(transformer.single_blocks))]
    made = {name: processors.IPAFluxAttnProcessor2_0(hidden, CONTEXT, timestep_range=(1.0, 0.0)) for name in names}
    patched = model.clone()
    utils.FluxUpdateModules(patched, made, torch.randn(1, 4, CONTEXT), utils.is_model_patched(model.model))
    return patched


def x_flux_lora(pack: ModuleType, model: Any) -> Any:
    """x-flux-comfyui: as LoadFluxLora does after it has read the file."""
    layers, utils = (import_module(f"{pack.__name__}.{name}") for name in ("layers", "utils"))
    torch.manual_seed(1)
    patched = model.clone()
    utils.FluxUpdateModules(patched.model)
    for name in utils.attn_processors(patched.model.diffusion_model):
        mixed = layers.DoubleStreamMixerProcessor()
        mixed.add_lora(layers.DoubleStreamBlockLoraProcessor(dim=patched.model.diffusion_model.hidden_size, rank=2))
        patched.add_object_patch(f"diffusion_model.{name}", mixed)
    return patched


def sage_attention_1() -> None:
    """A `sageattention` like version 1: it takes a mask among its further arguments, and ignores it."""

    def sageattn(
        q: Tensor, k: Tensor, v: Tensor, tensor_layout: str = "HND", is_causal: bool = False, **ignored: Any
    ) -> Tensor:
        heads_first = tensor_layout == "HND"
        q, k, v = (x.float() if heads_first else x.float().transpose(1, 2) for x in (q, k, v))
        out = torch.nn.functional.scaled_dot_product_attention(q, k, v)
        return out if heads_first else out.transpose(1, 2)

    if "sageattention" not in sys.modules:
        stand_in = types.ModuleType("sageattention")
        setattr(stand_in, "sageattn", sageattn)  # noqa: B010
        sys.modules["sageattention"] = stand_in


def sage(pack: ModuleType, model: Any) -> Any:
    """KJNodes' PathchSageAttentionKJ with SageAttention 1."""
    sage_attention_1()
    return pack.NODE_CLASS_MAPPINGS["PathchSageAttentionKJ"]().patch(model, "auto")[0]


def weights_of(model: Any) -> dict[str, Tensor]:
    """The transformer's weights by their names in files, where q and k norms have a `scale`."""
    named = model.model.diffusion_model.state_dict().items()
    return {name.replace("_norm.weight", "_norm.scale"): tensor for name, tensor in named}


def quantized(kind: str, weights: dict[str, Tensor]) -> dict[str, Any]:
    """The weights as arrays of a GGUF type; one-dimensional ones and those of other widths as F32."""
    import gguf

    type_ = gguf.GGMLQuantizationType[kind]
    fits = {name: tensor.ndim == 2 and tensor.shape[1] % 32 == 0 for name, tensor in weights.items()}
    types_ = {name: type_ if fits[name] else gguf.GGMLQuantizationType.F32 for name in weights}
    return {name: (gguf.quants.quantize(w.numpy(), types_[name]), types_[name]) for name, w in weights.items()}


def gguf_rounded(kind: str, model: Any) -> Any:
    """The model with the weights that a GGUF file of this type holds, without the pack."""
    import gguf
    from support import tiny

    arrays = quantized(kind, weights_of(model)).items()
    return tiny.tiny_flux({name: torch.from_numpy(gguf.quants.dequantize(*array)).clone() for name, array in arrays})


def gguf_loaded(kind: str, pack: ModuleType, model: Any) -> Any:
    """ComfyUI-GGUF: as UnetLoaderGGUF loads a file, except that the sizes are not read from it."""
    import comfy.supported_models
    import gguf
    from support import tiny
    from support.small_weights import sizes_of

    nodes, loader, ops = (import_module(f"{pack.__name__}.{name}") for name in ("nodes", "loader", "ops"))
    weights = weights_of(model)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "flux.gguf"
        writer = gguf.GGUFWriter(path, arch="flux")
        for name, (array, type_) in quantized(kind, weights).items():
            writer.add_tensor(name, array, raw_dtype=type_)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        read = loader.gguf_sd_loader(str(path))
        read = read[0] if isinstance(read, tuple) else read
        outlined = comfy.supported_models.Flux(tiny.outline(sizes_of(weights)))
        outlined.custom_operations = ops.GGMLOps()
        outlined.set_inference_dtype(torch.float32, torch.float32)
        made = outlined.get_model({}, "").eval()
        made.load_model_weights(read, "")
    return nodes.GGUFModelPatcher.clone(tiny.patcher(made))
