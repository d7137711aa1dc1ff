"""How to use a checkpoint's tensors: the notes in its file's metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from torch import Tensor

from ...masks.labels import CLASS_NAMES
from ...support.errors import WeightsError
from ..mixture.gate_time import GateTimestep
from ..mixture.network import MoGLEConfig
from ..stream.attention import StreamOptions

Stream = Literal["exact", "static"]

STREAM = "mogle.stream"
POOLED = "static.pooled"
"""The tensor's name in a file, after the network's prefix. Readers that do not know it refuse the file."""

EXTRA = "mogle.extra"
"""The names of the further conditions, with commas, in the order of their latents."""


@dataclass(frozen=True)
class Recipe:
    """How to use a checkpoint's tensors. Our files hold it in their metadata.

    gate_timestep: `sampling` if the gate gets sigma * 1000, as in the official inference; `training` if it gets
        sigma in 0..1, as in the official training.
    label_space, resolution: of the masks and pictures that it was trained on.
    options: how mask tokens attended in training.
    pooled: (P,), the pooled vector of the empty prompt, in the place of each prompt's in the mask stream's vector,
        with guidance 1; None takes the prompt's own, as the paper does.
    stream: `static` if the mask stream depends on the mask alone, so that its keys hold for every step and prompt.
    """

    gate_timestep: GateTimestep = "sampling"
    label_space: str = "celebamask"
    resolution: int = 512
    options: StreamOptions = StreamOptions()
    pooled: Tensor | None = field(default=None, compare=False)
    stream: Stream = "exact"

    def metadata(self) -> dict[str, str]:
        static = {} if self.stream == "exact" else {STREAM: self.stream}
        return static | {
            "mogle.gate_timestep": self.gate_timestep,
            "mogle.label_space": self.label_space,
            "mogle.class_names": ",".join(CLASS_NAMES),
            "mogle.train_resolution": str(self.resolution),
            "mogle.union_cond_attn": str(self.options.union_attention).lower(),
            "mogle.independent_condition": str(self.options.independent_condition).lower(),
            "mogle.add_cond_attn": str(self.options.add_condition_attention).lower(),
            "mogle.latent_lora": str(self.options.latent_lora).lower(),
        }

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], pooled: Tensor | None = None) -> Recipe:
        """Read a file's metadata. The defaults are those of the published checkpoint, whose files have none.

        pooled: the file's `mogle.static.pooled`.

        Raises:
            WeightsError: a note that this version does not know.
        """

        def flag(name: str, default: bool) -> bool:
            return _note(metadata, f"mogle.{name}", ("true", "false"), str(default)) == "true"

        default = cls()
        timestep = _note(metadata, "mogle.gate_timestep", ("sampling", "training"), default.gate_timestep)
        resolution = metadata.get("mogle.train_resolution", "")
        return cls(
            gate_timestep=timestep,  # type: ignore[arg-type]
            label_space=metadata.get("mogle.label_space", default.label_space),
            resolution=int(resolution) if resolution.isdecimal() and len(resolution) < 7 else default.resolution,
            options=StreamOptions(
                union_attention=flag("union_cond_attn", True),
                independent_condition=flag("independent_condition", False),
                add_condition_attention=flag("add_cond_attn", False),
                latent_lora=flag("latent_lora", False),
            ),
            pooled=pooled,
            stream=_stream(metadata),
        )


def _stream(metadata: Mapping[str, str]) -> Stream:
    return _note(metadata, STREAM, ("exact", "static"), "exact")  # type: ignore[return-value]


def _note(metadata: Mapping[str, str], name: str, known: tuple[str, ...], default: str) -> str:
    """A note's value in lower case, the default if it is missing. Raises WeightsError if it is not known."""
    value = metadata.get(name, default).strip().lower()
    if value not in known:
        raise WeightsError(
            f"The file's {name} is {value[:40]!r}, and this version knows {' and '.join(known)}: update ComfyUI-MoGLE, "
            "or use another checkpoint."
        )
    return value


def is_static(config: MoGLEConfig, options: StreamOptions, pooled: Tensor | None) -> bool:
    """Whether the mask stream of such weights depends on the mask alone.

    Then its tokens see only each other, the gate sees neither noise nor time, and the vector does not see the text.
    """
    alone = options.independent_condition or not options.union_attention
    apart = not options.add_condition_attention and not options.latent_lora
    return pooled is not None and alone and apart and config.gate in ("static", "none")


def check_static(recipe: Recipe, config: MoGLEConfig) -> None:
    """Raises WeightsError for a file that says it is static where its contents are not."""
    if recipe.stream == "static" and not is_static(config, recipe.options, recipe.pooled):
        raise WeightsError(
            f"The file's {STREAM} is static, so it needs the tensor mogle.{POOLED}, independent_condition, a gate that "
            f"is static or none (this one is {config.gate}), and neither add_cond_attn nor latent_lora: it was "
            "changed or damaged after its training. Use the file as the trainer wrote it."
        )


def config_metadata(config: MoGLEConfig) -> dict[str, str]:
    """The network's variant in the words of the official options. The tensors do not show the scalar gate.

    The further conditions are only mentioned where there are some, so that other files stay as they were.
    """
    extra = {EXTRA: ",".join(config.extra)} if config.extra else {}
    return {
        "mogle.experts": config.experts,
        "mogle.gate": config.gate,
        "mogle.has_expert": str(config.has_experts).lower(),
        "mogle.has_gating": str(config.gate != "none").lower(),
        "mogle.weight_is_scale": str(config.gate == "scalar").lower(),
        **extra,
    }


def read_config(names: Mapping[str, Any], metadata: Mapping[str, str]) -> MoGLEConfig:
    """The network's variant, from our metadata, so that a lost tensor is noticed; otherwise from the tensor names.

    Official files have no metadata, and their tensor names do not show the scalar gate. The order of several further
    conditions is in no tensor, so their names come from the metadata alone.

    Raises:
        ValueError: the metadata does not name the further conditions, or cannot be understood.
    """
    extra = _read_extra(names, metadata)
    gate, experts = metadata.get("mogle.gate"), metadata.get("mogle.experts")
    if gate in ("matrix", "scalar", "static", "none") and experts in ("both", "global", "local"):
        has_experts = metadata.get("mogle.has_expert", "true") == "true"
        return MoGLEConfig(experts, has_experts, gate, extra)  # type: ignore[arg-type]
    has_global = any(name.startswith("global_expert.") for name in names)
    has_local = any(name.startswith("local_experts.") for name in names)
    config = MoGLEConfig(has_experts=has_global or has_local, extra=extra)
    if has_global != has_local:
        config = replace(config, experts="global" if has_global else "local")
    if not any(name.startswith("gating.") for name in names):
        return replace(config, gate="none")
    if not any(name.startswith("gating.noise_proj.") for name in names):
        return replace(config, gate="static")
    return replace(config, gate="scalar" if metadata.get("mogle.weight_is_scale") == "true" else "matrix")


def _read_extra(names: Mapping[str, Any], metadata: Mapping[str, str]) -> tuple[str, ...]:
    if note := metadata.get(EXTRA):
        return tuple(note.split(","))
    found = sorted({name.split(".")[1] for name in names if name.startswith(("extra_experts.", "extra_gating."))})
    if found:
        raise ValueError(
            f"it has experts for {', '.join(found)}, and no note {EXTRA!r} in its metadata says their order. Use the "
            "file as `mogle train` or `mogle convert` wrote it"
        )
    return ()
