"""Reads FLUX.1's transformer: BFL's single file, as ComfyUI uses it, or diffusers' folder.

The model is built on the meta device and takes over the tensors one by one as they are read. So weights are never
initialised, and never in memory twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from ...support.errors import WeightsError
from ...support.other_files import other_kind
from ..fp8 import FP8_NOTES, FP8_SCALES, widened
from ..stream.layer_names import from_diffusers, to_diffusers
from .model import Flux
from .params import FluxParams
from .places import checked_file, files_of_folder

_PREFIXES = ("model.diffusion_model.", "diffusion_model.", "")
_PART = re.compile(r"((?:double|single)_blocks\.\d+|\w+)\.")

Settle = Callable[[Flux, nn.Module], None]
"""Is called with the transformer and one of its blocks as soon as the block's weights are loaded."""


def load_flux(
    path: Path | str,
    dtype: torch.dtype | None = None,
    axes_dim: tuple[int, ...] | None = None,
    settle: Settle | None = None,
) -> Flux:
    """Read a transformer in BFL's naming (a single file) or in diffusers' (its folder, or the whole model's).

    Args:
        path: a .safetensors, which may be a full checkpoint that contains the transformer, or a folder.
        dtype: of the weights in memory; None keeps the file's. 8-bit floats need one, and are multiplied by their
            scales.
        axes_dim: the rope axes; None takes them from a folder's config.json, or FLUX.1's proportion.
        settle: called with each block before the next one is read. It can narrow or move the block and so free memory:
            a model with fp8 weights, which is 24 GB in bf16, never needs these 24 GB.

    Raises:
        WeightsError: the file cannot be used; the message gives the reason.
    """
    path = Path(path)
    files, axes = files_of_folder(path) if path.is_dir() else ([checked_file(path)], None)
    with ExitStack() as stack:
        stored = _open(files, stack)
        recipes = _recipes(path, stored)
        try:
            params = read_params({name: recipe.shape for name, recipe in recipes.items()}, axes_dim or axes)
            return _load_in_parts(recipes, params, dtype, settle)
        except WeightsError:
            raise
        except (ValueError, SafetensorError) as error:
            raise WeightsError(f"{path.name}: {error}") from error


def load(tensors: Iterable[tuple[str, Tensor]], params: FluxParams, dtype: torch.dtype | None = None) -> Flux:
    """Build the transformer around tensors under BFL's names, cast one by one as they arrive.

    Raises:
        ValueError: tensors are missing, unknown, or have another shape.
    """
    state = {name: tensor if dtype is None else tensor.to(dtype) for name, tensor in tensors}
    model = _without_weights(params, {name: tuple(tensor.shape) for name, tensor in state.items()})
    model.load_state_dict(state, assign=True)
    return model.requires_grad_(False).eval()


def _load_in_parts(
    recipes: Mapping[str, _Recipe], params: FluxParams, dtype: torch.dtype | None, settle: Settle | None
) -> Flux:
    """Like `load`, but one block after the other."""
    model = _without_weights(params, {name: recipe.shape for name, recipe in recipes.items()})
    parts: dict[str, dict[str, _Recipe]] = {}
    for name, recipe in recipes.items():
        match = _PART.match(name)
        assert match is not None  # every tensor belongs to a module of the transformer
        parts.setdefault(match[1], {})[name[match.end() :]] = recipe
    for part, tensors in parts.items():
        module = model.get_submodule(part)
        module.load_state_dict({name: recipe.make(dtype) for name, recipe in tensors.items()}, assign=True)
        module.requires_grad_(False)
        if settle is not None and "blocks." in part:
            settle(model, module)
    return model.requires_grad_(False).eval()


def _without_weights(params: FluxParams, shapes: Mapping[str, tuple[int, ...]]) -> Flux:
    """The transformer on the meta device for tensors of these names and shapes. Raises ValueError on a misfit."""
    with torch.device("meta"):
        model = Flux(params)
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    missing, unexpected = [n for n in wanted if n not in shapes], [n for n in shapes if n not in wanted]
    if missing or unexpected:
        raise ValueError(
            f"The file does not fit FLUX.1: {len(missing)} tensors are missing"
            + (f" (first: {missing[0]})" if missing else "")
            + f", {len(unexpected)} are unknown"
            + (f" (first: {unexpected[0]})" if unexpected else "")
            + "."
        )
    for name, shape in wanted.items():
        if shapes[name] != shape:
            raise ValueError(f"Tensor {name!r} is {shapes[name]}, expected {shape} from the others.")
    return model


def read_params(shapes: Mapping[str, tuple[int, ...]], axes_dim: tuple[int, ...] | None = None) -> FluxParams:
    """The sizes of a checkpoint with BFL's names, from its tensors' shapes.

    axes_dim: the rope axes, which a file does not show; None takes FLUX's proportion (16, 56, 56 of 128).

    Raises:
        ValueError: not a FLUX.1 transformer.
    """
    try:
        hidden, in_channels = shapes["img_in.weight"]
        head = shapes["double_blocks.0.img_attn.norm.query_norm.scale"][0]
        mlp_hidden = shapes["double_blocks.0.img_mlp.0.weight"][0]
        context, pooled = shapes["txt_in.weight"][1], shapes["vector_in.in_layer.weight"][1]
        out_channels = shapes["final_layer.linear.weight"][0]
        shapes["double_blocks.0.img_mod.lin.weight"]  # Chroma has none
    except KeyError as error:
        raise ValueError(
            f"This is not a FLUX.1 transformer: its file has no tensor {error.args[0]!r}. Expected BFL's "
            "single file (flux1-dev.safetensors) or diffusers' folder `transformer`."
        ) from None
    return FluxParams(
        in_channels=in_channels,
        out_channels=out_channels,
        vec_in_dim=pooled,
        context_in_dim=context,
        hidden_size=hidden,
        mlp_ratio=mlp_hidden / hidden,
        num_heads=hidden // head,
        depth=_count(shapes, "double_blocks"),
        depth_single_blocks=_count(shapes, "single_blocks"),
        axes_dim=axes_dim or (head // 8, head * 7 // 16, head * 7 // 16),
        guidance_embed="guidance_in.in_layer.weight" in shapes,
    )


@dataclass(frozen=True)
class _Stored:
    """A tensor that is still in its file, which stays open."""

    file: Any
    name: str

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.file.get_slice(self.name).get_shape())

    @property
    def packed(self) -> bool:
        """Whether the tensor holds a quantiser's integers instead of weights."""
        return not self.file.get_slice(self.name).get_dtype().startswith(("F", "BF"))

    def read(self) -> Tensor:
        tensor: Tensor = self.file.get_tensor(self.name)
        return tensor


@dataclass(frozen=True)
class _Recipe:
    """How one of BFL's tensors is assembled from tensors of the file.

    parts: stacked by rows. scale: of 8-bit floats, one for the whole or for each row. swapped: exchange the halves,
    because in the final layer diffusers has the scale first and BFL the shift.
    """

    parts: tuple[_Stored, ...]
    scale: _Stored | None = None
    swapped: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        first, *others = (part.shape for part in self.parts)
        return (first[0] + sum(shape[0] for shape in others), *first[1:]) if first else first

    def make(self, dtype: torch.dtype | None) -> Tensor:
        parts = [self._cast(part.read(), dtype) for part in self.parts]
        if self.swapped:
            (whole,) = parts
            parts = list(whole.chunk(2)[::-1])
        return torch.cat(parts) if len(parts) > 1 else parts[0]

    def _cast(self, tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
        if dtype is None and tensor.element_size() == 1:
            raise ValueError(
                f"The weights are 8-bit floats ({tensor.dtype}), in which nothing can be computed: choose a "
                "dtype to widen them to, such as bfloat16."
            )
        if self.scale is None or dtype is None:
            return tensor if dtype is None else tensor.to(dtype)
        return widened(tensor, self.scale.read(), dtype, within=torch.float32)


def _open(files: Iterable[Path], stack: ExitStack) -> dict[str, _Stored]:
    stored: dict[str, _Stored] = {}
    for path in files:
        try:
            file = stack.enter_context(safe_open(path, "pt"))
        except (SafetensorError, OSError) as error:
            if path.is_file() and (kind := other_kind(path, safe=True)) is not None:
                raise WeightsError(f"{path.name} is {kind}.") from error
            raise WeightsError(
                f"{path.name} is truncated or not a .safetensors file ({error}): download or copy it again."
            ) from error
        stored.update({name: _Stored(file, name) for name in file.keys()})  # noqa: SIM118
    return stored


def _recipes(path: Path, stored: Mapping[str, _Stored]) -> dict[str, _Recipe]:
    """How to assemble each of BFL's tensors, for any of the file's namings."""
    prefix = next((p for p in _PREFIXES if any(f"{p}{n}.weight" in stored for n in ("img_in", "x_embedder"))), "")
    weights = {name[len(prefix) :]: tensor for name, tensor in stored.items() if name.startswith(prefix)}
    weights = {name: tensor for name, tensor in weights.items() if not name.endswith(FP8_NOTES)}
    if any(name.startswith("double_stream_modulation_img.") for name in weights):
        raise WeightsError(
            f"{path.name} is FLUX.2, which has no modulation of its weights in its blocks; Face-MoGLE was made for "
            "FLUX.1. Use flux1-dev.safetensors."
        )
    scales = {name.removesuffix(end): weights[name] for name in weights for end in FP8_SCALES if name.endswith(end)}
    tensors = {name: tensor for name, tensor in weights.items() if not name.endswith(FP8_SCALES)}
    if packed := [name for name, tensor in tensors.items() if tensor.packed]:
        raise WeightsError(
            f"{path.name} is packed by a quantiser (integers in {packed[0]!r}), which only ComfyUI's loaders "
            "unpack. Here, use a file in bf16, fp16 or fp8."
        )
    if any(name.startswith(("x_embedder.", "transformer_blocks.", "single_transformer_blocks.")) for name in tensors):
        return dict(_from_diffusers(path, tensors))
    return {
        name: _Recipe((tensor,), scales.get(name.removesuffix(".weight")) if name.endswith(".weight") else None)
        for name, tensor in tensors.items()
    }


def _from_diffusers(path: Path, tensors: Mapping[str, _Stored]) -> Iterator[tuple[str, _Recipe]]:
    layers: dict[tuple[str, str], dict[int, _Stored]] = {}
    for name, tensor in tensors.items():
        module, _, kind = name.rpartition(".")
        target = from_diffusers(module)
        if target is None:
            raise WeightsError(f"{path.name}: FLUX.1 has no module {module!r}; this is another model's transformer.")
        layer, part = target
        kind = "scale" if layer.endswith("_norm") else kind
        layers.setdefault((layer, kind), {})[part] = tensor
    for (layer, kind), parts in layers.items():
        modules = to_diffusers(layer) or ()
        if absent := [module for part, module in enumerate(modules) if part not in parts]:
            raise WeightsError(f"{path.name} lacks the tensor {absent[0]}.{kind}: download it again.")
        ordered = tuple(parts[part] for part in range(len(modules)))
        yield f"{layer}.{kind}", _Recipe(ordered, swapped=layer == "final_layer.adaLN_modulation.1")


def _count(shapes: Mapping[str, tuple[int, ...]], container: str) -> int:
    numbers = (re.match(rf"{container}\.(\d+)\.", name) for name in shapes)
    return 1 + max((int(match[1]) for match in numbers if match), default=-1)
