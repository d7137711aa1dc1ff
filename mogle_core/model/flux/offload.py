"""Saves memory in training: recomputes activations in the backward pass, and loads the frozen blocks' weights in time.

Both wrap a block's `forward`, so that the transformer's code does not change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..stream.transformer import blocks_of
from .model import Flux

Forward = Callable[..., Any]


def recompute_activations(flux: Flux) -> None:
    """Store only the activations between two blocks; the backward pass recomputes the rest.

    A block has no randomness, so the recomputed activations are exactly the same.
    """
    for block in flux.double_blocks:
        block.forward = _recomputed(block.forward, with_text=True)
    for block in flux.single_blocks:
        block.forward = _recomputed(block.forward, with_text=False)


def _recomputed(forward: Forward, with_text: bool) -> Forward:
    """The block as a pure function of the joint tokens [others | mask], which autograd may call twice."""

    def run(x: Tensor, *rest: Any) -> Any:
        *text, vec, rotary, mask = rest if len(rest) == 3 + with_text else (*rest, None)
        if mask is None or not torch.is_grad_enabled():
            return forward(x, *rest)
        others, joint = x.shape[1], mask.join(x)

        def pure(joint: Tensor, *text: Tensor) -> tuple[Tensor, ...]:
            stream, image = mask.resumed(joint, others)
            out = forward(image, *text, vec, rotary, stream)
            others_out, *text_out = out if with_text else (out,)
            return (stream.whole(others_out), *text_out)

        joint_out, *text_out = checkpoint(pure, joint, *text, use_reentrant=False, preserve_rng_state=False)
        # The last block does not return mask tokens.
        image_out = mask.part(joint_out, others) if joint_out.shape[1] > others else joint_out
        return (image_out, *text_out) if with_text else image_out

    return run


class Offloaded:
    """Blocks whose weights stay in host memory and are on the device only while they are needed.

    The weights are frozen and never copied back: a copy on the device is dropped when the block after the next one
    starts. While a block computes, a separate CUDA stream copies the weights of the following one. In the backward
    pass that is the previous block, because it recomputes the blocks from the last to the first. The modulation stays
    on the device, because the mask stream's modulations are computed for all blocks before the first one runs.
    """

    def __init__(self, blocks: Sequence[nn.Module], device: torch.device) -> None:
        self.device = device
        self.slots = [travelling(block) for block in blocks]
        self.hosts = [[_parked(module, name, device) for module, name in slots] for slots in self.slots]
        for block in blocks:
            _settle(block, device)
        on_gpu = device.type == "cuda"
        self.stream: torch.cuda.Stream | None = torch.cuda.Stream(device) if on_gpu else None  # type: ignore[no-untyped-call]
        self.here: dict[int, tuple[list[Tensor], Any]] = {}
        self.last = -1
        for number, block in enumerate(blocks):
            block.forward = self._brought_in(block.forward, number)

    def _brought_in(self, forward: Forward, number: int) -> Forward:
        def run(*arguments: Any) -> Any:
            self._place(number)
            try:
                return forward(*arguments)
            finally:
                self._park(number)

        return run

    def _place(self, number: int) -> None:
        """Put a block's weights into its modules, and start the copy of the next block's."""
        following = next_block(number, self.last, len(self.slots))
        self.last = number
        self._send(number)
        for gone in [kept for kept in self.here if kept not in (number, following)]:
            del self.here[gone]
        weights, arrived = self.here[number]
        if arrived is not None:
            current = torch.cuda.current_stream(self.device)
            current.wait_event(arrived)
            for weight in weights:
                weight.record_stream(current)
        for (module, name), weight in zip(self.slots[number], weights, strict=True):
            # A new Parameter each time, because autograd keeps it for the backward pass after the module has lost it.
            module._parameters[name] = nn.Parameter(weight, requires_grad=False)
        if following is not None:
            self._send(following)

    def _send(self, number: int) -> None:
        if number in self.here:
            return
        if self.stream is None:
            self.here[number] = ([host.to(self.device, copy=True) for host in self.hosts[number]], None)
            return
        with torch.cuda.stream(self.stream):
            weights = [host.to(self.device, non_blocking=True) for host in self.hosts[number]]
            self.here[number] = (weights, self.stream.record_event())

    def _park(self, number: int) -> None:
        """Remove the weights from the modules, so that use at the wrong time raises an error."""
        for (module, name), host in zip(self.slots[number], self.hosts[number], strict=True):
            module._parameters[name] = _absent(host)


def spread(flux: Flux, count: int) -> list[nn.Module]:
    """Choose `count` blocks evenly among all, so that copies overlap with the blocks in between."""
    blocks: list[nn.Module] = list(blocks_of(flux).values())
    count = min(count, len(blocks))
    return [blocks[i * len(blocks) // count] for i in range(count)]


def next_block(number: int, last: int, count: int) -> int | None:
    """The block after `number` if `last` came before it: forwards, or backwards in the backward pass."""
    backwards = number != 0 and number <= last
    following = number - 1 if backwards or number == count - 1 else number + 1
    return following if 0 <= following < count else None


def travelling(block: nn.Module) -> list[tuple[nn.Module, str]]:
    """The places of the weights that are copied: all but the image's modulation, which is needed before the block."""
    return [
        (module, name)
        for path, module in block.named_modules()
        if path not in ("img_mod.lin", "modulation.lin")
        for name, parameter in module.named_parameters(recurse=False)
        if parameter.ndim > 1
    ]


def _parked(module: nn.Module, name: str, device: torch.device) -> Tensor:
    parameter = module._parameters[name]
    assert parameter is not None
    host = parameter.detach().cpu()
    module._parameters[name] = _absent(host)
    return host.pin_memory() if device.type == "cuda" else host.clone()


def _settle(block: nn.Module, device: torch.device) -> None:
    """Move the parts that stay (modulation, biases, scales) to the device permanently."""
    for tensor in (*block.parameters(), *block.buffers()):
        if not tensor.is_meta:
            tensor.data = tensor.data.to(device)


def _absent(host: Tensor) -> nn.Parameter:
    return nn.Parameter(torch.empty_like(host, device="meta"), requires_grad=False)
