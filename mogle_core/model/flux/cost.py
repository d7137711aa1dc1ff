"""The cost of a step: floating-point operations from the shapes, and the effect of the options over a run.

A multiplication with its addition counts as two operations, as in torch's own counter. Norms, activations and
modulations of single tokens are left out: at FLUX.1's size they are less than a thousandth.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from ...masks.labels import NUM_MASKS
from ..flux_latents import TOKEN_WIDTH
from ..mixture.extra import EXPERT_WIDTH


class Shape(Protocol):
    """The sizes of a transformer, by `FluxParams` or ComfyUI's parameters."""

    hidden_size: int
    mlp_ratio: float
    depth: int
    depth_single_blocks: int
    context_in_dim: int


@dataclass(frozen=True)
class Tokens:
    """The tokens of one forward pass.

    mask: mask tokens that run through the blocks. kept: mask tokens whose keys and values from an earlier pass are
    used.
    """

    text: int
    image: int
    mask: int = 0
    kept: int = 0


def operations(shape: Shape, tokens: Tokens) -> float:
    """Floating-point operations of one forward pass, without LoRA and network."""
    width, hidden = shape.hidden_size, shape.hidden_size * shape.mlp_ratio
    run = tokens.text + tokens.image + tokens.mask
    seen, blocks = run + tokens.kept, shape.depth + shape.depth_single_blocks
    linears = 2 * width * (4 * width + 2 * hidden)  # for each token in a block of either kind: qkv, proj and MLP
    attention = 4 * width * seen
    # The last block uses the mask tokens as keys only, without queries and the second Linear.
    spared = tokens.mask * (attention + 2 * width * (width + hidden))
    ends = 2 * width * (TOKEN_WIDTH * (2 * tokens.image + tokens.mask) + shape.context_in_dim * tokens.text)
    vectors = 2 * width * width * (12 * shape.depth + 3 * shape.depth_single_blocks + 2)
    return blocks * run * (linears + attention) - spared + ends + vectors


def network_operations(tokens: int, extra: int = 0) -> tuple[float, float]:
    """The operations of the experts, once for each mask, and of gate and blend at each step, for these mask tokens.

    extra: how many further conditions the network has.
    """
    count = NUM_MASKS + extra
    experts = 2 * 2 * count * TOKEN_WIDTH * EXPERT_WIDTH
    gate = 2 * TOKEN_WIDTH * (2 * TOKEN_WIDTH + count) + 2 * count * TOKEN_WIDTH
    return float(tokens * experts), float(tokens * gate)


def share_of_whole(shape: Shape, passes: Iterable[Tokens], whole: Tokens) -> float:
    """The cost of these passes, relative to as many passes with the whole mask stream."""
    costs = [operations(shape, tokens) for tokens in passes]
    return sum(costs) / (len(costs) * operations(shape, whole)) if costs else 1.0
