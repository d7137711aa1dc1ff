"""The official code for comparison: the same weights and inputs, in its environment, one step per request."""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from mogle_core.model.flux.model import Flux
from mogle_core.model.mixture.network import MoGLE, to_official
from mogle_core.model.stream.lora import MaskLoRA, write
from support.bench_models import RANK, Inputs
from support.counting import Counted
from support.places import TESTS
from support.small_weights import as_diffusers

PROCESS = TESTS / "bench/official_process.py"


class Official:
    """The other process, in the environment of a checkout. `python` replaces its .venv's interpreter."""

    def __init__(
        self,
        checkout: Path,
        python: Path | None,
        model: Flux,
        network: MoGLE,
        lora: MaskLoRA,
        x: Inputs,
        random: bool = False,
    ) -> None:
        """random: it draws a transformer of its own of these shapes, as 24 GB take long on their way."""
        python = python or checkout / ".venv" / "bin" / "python"
        given = tensors(model, network, lora, x)
        drawn = {name for name, tensor in given.items() if tensor.is_meta or (random and name.startswith("flux/"))}
        stored = {name: tensor.cpu().contiguous() for name, tensor in given.items() if name not in drawn}
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "weights.safetensors"
            shapes = {name: list(tensor.shape) for name, tensor in given.items() if name in drawn}
            save_file(stored, file, {"settings": json.dumps({**settings(model, x), "shapes": shapes})})
            self._process = subprocess.Popen(
                [python, PROCESS, checkout, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            self._answer()  # its model is there, and the file no longer needed

    def velocity(self) -> Tensor:
        return torch.tensor(self.ask("velocity")["velocity"])

    def ask(self, line: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        print(line, file=self._process.stdin, flush=True)
        return self._answer()

    def close(self) -> None:
        self._process.communicate()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        if not (line := self._process.stdout.readline()):
            raise SystemExit("The official code's process has ended; why, it says above.")
        answer: dict[str, Any] = json.loads(line)
        return answer


@dataclass(frozen=True)
class Asked:
    """A row of the table that the other process runs: `step` or `network`. A request costs about 0.1 ms."""

    official: Official
    what: str

    def __call__(self) -> None:
        self.official.ask(self.what)

    def count(self) -> Counted:
        return Counted(**self.official.ask(f"count {self.what}"))


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--official", type=Path, help="a checkout of the official code, to be compared with")
    parser.add_argument("--official-python", type=Path, help="its environment's (default: CHECKOUT/.venv/bin/python)")


def tensors(model: Flux, network: MoGLE, lora: MaskLoRA, x: Inputs) -> dict[str, Tensor]:
    """Weights in the official layouts, and the inputs of a step."""
    # PEFT takes alpha from its configuration, which is the rank's: a factor of 1, as in `random_lora`.
    pairs = {name: tensor for name, tensor in write(lora).items() if not name.endswith(".alpha")}
    parts = {
        "flux": as_diffusers(model.state_dict()),
        "network": to_official(network.state_dict(), network.config),
        "lora": pairs,
        "input": {name: getattr(x, name) for name in ("image", "text", "time", "pooled", "guidance", "masks")},
    }
    return {f"{part}/{name}": tensor.detach() for part, own in parts.items() for name, tensor in own.items()}


def settings(model: Flux, x: Inputs) -> dict[str, Any]:
    params = model.params
    config = {
        "in_channels": params.in_channels, "num_layers": params.depth, "num_single_layers": params.depth_single_blocks,
        "attention_head_dim": params.hidden_size // params.num_heads, "num_attention_heads": params.num_heads,
        "joint_attention_dim": params.context_in_dim, "pooled_projection_dim": params.vec_in_dim,
        "guidance_embeds": params.guidance_embed, "axes_dims_rope": params.axes_dim,
    }  # fmt: skip
    dtype = str(x.image.dtype).removeprefix("torch.")
    return {
        "config": config, "rank": RANK, "grid": x.grid, "dtype": dtype, "device": str(x.image.device),
        "threads": torch.get_num_threads(),
    }  # fmt: skip
