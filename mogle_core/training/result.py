"""A run's result: one .safetensors with network and LoRA; its metadata say how they were trained."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save
from torch import Tensor

from ..model.checkpoints.files import combined
from ..model.checkpoints.recipe import Recipe
from ..model.mixture.network import MoGLE
from ..model.stream.lora import MaskLoRA
from ..support.tensor_files import write_safetensors
from ..support.versions import versions
from .config.reading import TrainingConfig, config_toml
from .step import GUIDANCE


def write_result(
    path: Path,
    network: MoGLE,
    lora: MaskLoRA,
    config: TrainingConfig,
    step: int,
    fingerprint: str,
    recipe: Recipe | None = None,
) -> Path:
    """Write the combined format, which the nodes load and `mogle convert` can split.

    step: the number of finished steps. fingerprint: of the data. recipe: None is the paper's.
    """
    recipe = recipe or Recipe(gate_timestep="training", resolution=max(config.data.resolution))
    tensors, metadata = combined(network, lora, recipe, notes(config, step, fingerprint))
    write_safetensors(path, tensors, {**metadata, "modelspec.hash_sha256": tensor_hash(tensors)})
    return path


def notes(config: TrainingConfig, step: int, fingerprint: str) -> dict[str, str]:
    """Metadata by modelspec 1.0.1, the `ss_` keys that other tools read, and our keys."""
    side = max(config.data.resolution)
    optimiser = config.optimiser
    return {
        "modelspec.sai_model_spec": "1.0.1",
        "modelspec.architecture": "flux-1-dev/face-mogle-lora",
        "modelspec.implementation": "https://github.com/black-forest-labs/flux",
        "modelspec.title": config.output.name,
        "modelspec.date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "modelspec.resolution": f"{side}x{side}",
        "modelspec.prediction_type": "flow",
        "ss_base_model_version": "flux1",
        "ss_network_module": "mogle_core",
        "ss_network_dim": str(config.lora.rank),
        "ss_network_alpha": f"{config.lora.alpha or config.lora.rank:g}",
        "ss_steps": str(step),
        "ss_seed": str(config.loop.seed),
        "ss_total_batch_size": str(config.loop.batch),
        "ss_gradient_accumulation_steps": str(config.loop.accumulate),
        "ss_optimizer": optimiser.name,
        "ss_learning_rate": f"{optimiser.lr:g}",
        "ss_lr_warmup_steps": str(optimiser.warmup),
        "ss_lr_scheduler": optimiser.schedule,
        "ss_max_grad_norm": f"{optimiser.clip:g}",
        "ss_timestep_sampling": config.timesteps.sampling,
        "ss_guidance_scale": f"{GUIDANCE:g}",
        "ss_mixed_precision": "no" if config.model.base_dtype == "float32" else "bf16",
        "mogle.version": versions()["face-mogle"],
        "mogle.versions": ", ".join(f"{name} {number}" for name, number in versions().items()),
        "mogle.base_dtype": config.model.base_dtype,
        "mogle.averaged": str(optimiser.ema > 0).lower(),
        "mogle.text_drop": f"{config.drop.text:g}",
        "mogle.local_drop": f"{config.drop.local_mask:g}",
        "mogle.global_drop": f"{config.drop.all_masks:g}",
        "mogle.lora_targets": config.lora.targets,
        "mogle.data_fingerprint": fingerprint,
        "mogle.config": config_toml(config),
    }


def tensor_hash(tensors: Mapping[str, Tensor]) -> str:
    """sha256 of the bytes after the header of a .safetensors with these tensors, as modelspec requires."""
    whole = save(dict(tensors))
    header = int.from_bytes(whole[:8], "little")
    return f"0x{hashlib.sha256(memoryview(whole)[8 + header :]).hexdigest()}"
