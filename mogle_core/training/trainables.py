"""Everything that is trained, as one long vector for each learning rate.

Network and LoRA are some 800 small tensors. Here each of them is a view of a vector, and so is its gradient. An
operation on all of them (optimiser, clipping, averaging, the sum over processes) is one call instead of 800.
Prodigy reads two numbers back from the GPU for each of its tensors; here it has one or two tensors.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from ..model.checkpoints.recipe import config_metadata
from ..model.mixture.network import MoGLE
from ..model.stream.lora import LoRAPart, MaskLoRA


class Trainables:
    """Network and LoRA in float32 on one device. The optimiser gets `vectors`."""

    def __init__(self, network: MoGLE, lora: MaskLoRA, device: torch.device | None = None) -> None:
        self.network, self.lora = network.requires_grad_().train(), lora.requires_grad_().train()
        self.vectors: dict[str, nn.Parameter] = {}
        for group, module in (("lora", lora), ("network", network)):
            if parameters := list(module.parameters()):
                self.vectors[group] = _flatten(parameters, device)

    def named(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Every tensor by its name, `network.…` or `lora.…`, as a view of a vector."""
        for group, module in (("network", self.network), ("lora", self.lora)):
            for name, parameter in module.named_parameters():
                yield f"{group}.{name}", parameter

    def description(self) -> dict[str, str]:
        """What a checkpoint must have in common with this: the network's variant, and the LoRA's layers."""
        digest = hashlib.sha256()
        for name in sorted(self.lora.rows):
            for part in self.lora.parts(name):
                digest.update(f"{name} {part.start} {part.rank} {part.alpha:g}\n".encode())
        variant = ", ".join(f"{key} {value}" for key, value in sorted(config_metadata(self.network.config).items()))
        return {"network": variant.replace("mogle.", ""), "layout of the LoRA": digest.hexdigest()[:16]}

    def gradients(self) -> list[Tensor]:
        """The gradient of each vector."""
        return [vector.grad for vector in self.vectors.values() if vector.grad is not None]

    def zero_grad(self) -> None:
        """Zero the gradients in place, so that they stay views."""
        for gradient in self.gradients():
            gradient.zero_()

    @torch.no_grad()
    def norm(self) -> Tensor:
        """The norm of the whole gradient; it stays on the device."""
        norm: Tensor = torch.stack(torch._foreach_norm(self.gradients())).norm()
        return norm

    @torch.no_grad()
    def clip(self, norm: Tensor, largest: float) -> None:
        """Scale the gradient down to the norm `largest` if its norm is larger; 0 does not clip."""
        if largest > 0:
            factor = (largest / (norm + 1e-6)).clamp(max=1.0)
            for gradient in self.gradients():
                gradient.mul_(factor)

    @torch.no_grad()
    def load(self, vectors: Mapping[str, Tensor]) -> None:
        """Load the values of a checkpoint.

        Raises:
            ValueError: they do not fit this network and LoRA.
        """
        found = {group: tuple(vector.shape) for group, vector in vectors.items()}
        wanted = {group: tuple(vector.shape) for group, vector in self.vectors.items()}
        if found != wanted:
            raise ValueError(
                f"The checkpoint trains {found} numbers, this configuration {wanted}: its [lora] or "
                "[model.network] section differs. Set them as they were, or start anew under another output.name."
            )
        for group, vector in vectors.items():
            self.vectors[group].copy_(vector)

    @torch.no_grad()
    def filled(self, vectors: Mapping[str, Tensor]) -> tuple[MoGLE, MaskLoRA]:
        """Frozen copies of network and LoRA with the values of other vectors, such as the running average's."""
        lora = MaskLoRA(
            {
                name: [LoRAPart(p.start, p.down.clone(), p.up.clone(), p.alpha) for p in self.lora.parts(name)]
                for name in self.lora.rows
            }
        )
        network = MoGLE(self.network.config)
        for group, module in (("network", network), ("lora", lora)):
            module.requires_grad_(False).eval()
            parameters, start = list(module.parameters()), 0
            for parameter in parameters:
                part = vectors[group][start : start + parameter.numel()]
                parameter.data = part.view(parameter.shape).clone()
                start += parameter.numel()
        return network, lora


def _flatten(parameters: list[nn.Parameter], device: torch.device | None) -> nn.Parameter:
    vector = nn.Parameter(torch.cat([p.detach().float().flatten() for p in parameters]).to(device))
    vector.grad = torch.zeros_like(vector)
    start = 0
    for parameter in parameters:
        stop = start + parameter.numel()
        parameter.data = vector.detach()[start:stop].view(parameter.shape)
        parameter.grad = vector.grad[start:stop].view(parameter.shape)
        start = stop
    return vector
