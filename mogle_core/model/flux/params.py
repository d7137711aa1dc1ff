"""The sizes of a FLUX.1 transformer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FluxParams:
    """All sizes of the transformer. The defaults are FLUX.1-dev's."""

    in_channels: int = 64
    out_channels: int = 64
    vec_in_dim: int = 768
    context_in_dim: int = 4096
    hidden_size: int = 3072
    mlp_ratio: float = 4.0
    num_heads: int = 24
    depth: int = 19
    depth_single_blocks: int = 38
    axes_dim: tuple[int, ...] = (16, 56, 56)
    theta: int = 10_000
    guidance_embed: bool = True

    def __post_init__(self) -> None:
        head, rest = divmod(self.hidden_size, self.num_heads)
        if rest or sum(self.axes_dim) != head or any(dim % 2 for dim in self.axes_dim):
            raise ValueError(
                f"Hidden size {self.hidden_size} over {self.num_heads} heads gives a head width that the "
                f"rope axes {self.axes_dim} do not add up to in even numbers: pass the model's axes_dim."
            )
