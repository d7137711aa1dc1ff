"""The sub-modules of a host's transformer that the stream uses, by BFL's names, which ComfyUI shares.

They are always called as modules, because their weights may be quantised, streamed from disk, or not loaded yet.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from torch import Tensor


class Layer(Protocol):
    """A Linear, a norm or an activation: (..., in) -> (..., out)."""

    def __call__(self, x: Tensor, /) -> Tensor: ...


class QueryKeyNorm(Protocol):
    def __call__(self, q: Tensor, k: Tensor, v: Tensor, /) -> tuple[Tensor, Tensor]: ...


class Modulator(Protocol):
    @property
    def lin(self) -> Layer: ...


class Attention(Protocol):
    @property
    def qkv(self) -> Layer: ...
    @property
    def norm(self) -> QueryKeyNorm: ...
    @property
    def proj(self) -> Layer: ...


class MLP(Layer, Protocol):
    """Linear, activation, Linear; callable as a whole or one by one."""

    def __getitem__(self, place: int, /) -> Layer: ...


class DoubleBlock(Protocol):
    @property
    def num_heads(self) -> int: ...
    @property
    def img_mod(self) -> Modulator: ...
    @property
    def txt_mod(self) -> Modulator: ...
    @property
    def img_norm1(self) -> Layer: ...
    @property
    def txt_norm1(self) -> Layer: ...
    @property
    def img_attn(self) -> Attention: ...
    @property
    def txt_attn(self) -> Attention: ...
    @property
    def img_norm2(self) -> Layer: ...
    @property
    def txt_norm2(self) -> Layer: ...
    @property
    def img_mlp(self) -> MLP: ...
    @property
    def txt_mlp(self) -> MLP: ...


class SingleBlock(Protocol):
    @property
    def num_heads(self) -> int: ...
    @property
    def hidden_size(self) -> int: ...
    @property
    def modulation(self) -> Modulator: ...
    @property
    def pre_norm(self) -> Layer: ...
    @property
    def linear1(self) -> Layer: ...
    @property
    def norm(self) -> QueryKeyNorm: ...
    @property
    def mlp_act(self) -> Layer: ...
    @property
    def linear2(self) -> Layer: ...


class Sizes(Protocol):
    @property
    def hidden_size(self) -> int: ...


class Transformer(Protocol):
    """The FLUX.1 of `flux/model.py` or ComfyUI. The types of a ModuleList's modules are unknown to torch."""

    @property
    def params(self) -> Sizes: ...
    @property
    def img_in(self) -> Layer: ...
    @property
    def time_in(self) -> Layer: ...
    @property
    def guidance_in(self) -> Layer | None: ...
    @property
    def vector_in(self) -> Layer: ...
    @property
    def double_blocks(self) -> Iterable[Any]: ...
    @property
    def single_blocks(self) -> Iterable[Any]: ...


def blocks_of(transformer: Transformer) -> dict[str, Any]:
    """All blocks by name, in the order in which a pass visits them."""
    return {
        **{f"double_blocks.{i}": block for i, block in enumerate(transformer.double_blocks)},
        **{f"single_blocks.{i}": block for i, block in enumerate(transformer.single_blocks)},
    }
