"""Identifies files of weights by their tensors' names and shapes, without reading large files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from .findings import Finding

if TYPE_CHECKING:
    from ...model.checkpoints.files import Checkpoint

Kind = Literal[
    "network", "LoRA", "network and LoRA", "transformer", "VAE", "CLIP-L", "T5", "parser", "detector",
    "toy text encoder", "training checkpoint", "other",
]  # fmt: skip
Shapes = Mapping[str, tuple[int, ...]]

SAFE_ENDINGS = (".safetensors", ".sft")
ENDINGS = (".pt", *SAFE_ENDINGS, ".onnx", ".gguf", ".pth", ".bin", ".ckpt")

_CLIP = ("text_model.embeddings.token_embedding.weight", "embeddings.token_embedding.weight")
_T5 = "encoder.block.0.layer.0.SelfAttention.q.weight"
_SMALLEST_DETECTOR = 100_000
"""The least size in bytes; an HTML page or a Git LFS pointer under the detector's name is smaller."""


@dataclass(frozen=True)
class Weights:
    """A readable file."""

    kind: Kind
    says: str


def examined(file: Path) -> tuple[Kind | None, Finding]:
    """The kind of a file, None if it cannot be used, and the finding about it."""
    from safetensors import SafetensorError

    try:
        found = _recognised(file)
    except (ValueError, OSError, SafetensorError) as error:
        return None, Finding(str(file), str(error), "wrong")
    if found.kind == "other":
        return "other", Finding(str(file), found.says, "wrong")
    return found.kind, Finding(str(file), found.says)


def _recognised(file: Path) -> Weights:
    if file.suffix.lower() == ".onnx":
        return _detector(file)
    if file.suffix.lower() == ".gguf":
        return _gguf(file)
    if file.suffix.lower() in SAFE_ENDINGS:
        from ...model.encoders.files import Weights as Stored

        by_shape = _by_shapes(file, Stored((file,)).shapes())
        if by_shape is not None:
            return by_shape
    elif _is_of_a_run(file):
        return _training_checkpoint(file)
    return _ours(file)


def _by_shapes(file: Path, shapes: Shapes) -> Weights | None:
    """Identify files that are larger than ours by shape; ours are read completely."""
    bare = {name.removeprefix("model.diffusion_model."): shape for name, shape in shapes.items()}
    if "double_blocks.0.img_attn.qkv.weight" in bare:
        return _transformer(bare)
    if "transformer_blocks.0.attn.add_q_proj.weight" in bare:
        return Weights("transformer", "FLUX.1's transformer as diffusers names it; ComfyUI wants the single file.")
    if "decoder.conv_in.weight" in shapes:
        return _vae(_side(shapes, "decoder.conv_in.weight", 4))
    if any(name.startswith("taesd_encoder.") for name in shapes):
        return Weights("VAE", "the toy's VAE.")
    if name := next((each for each in _CLIP if each in shapes), None):
        return _clip(_side(shapes, name, 2))
    if _T5 in shapes:
        return _t5(_side(shapes, _T5, 2))
    if any(name.startswith(("segformer.", "decode_head.")) for name in shapes):
        return _parser(file)
    return _of_the_toy(file, shapes)


def _transformer(shapes: Shapes) -> Weights:
    from ...model.flux.files import read_params

    params = read_params(_with_plain_norms(shapes))
    toy = " (the toy's)" if params.hidden_size < 1024 else ""
    guidance = "with guidance, as FLUX.1-dev" if params.guidance_embed else "without guidance, as FLUX.1-schnell"
    blocks = f"{params.depth} + {params.depth_single_blocks} blocks"
    return Weights("transformer", f"a FLUX.1 transformer{toy}, {guidance}: {blocks}, {params.hidden_size} wide.")


def _with_plain_norms(shapes: Shapes) -> Shapes:
    """The shapes with the norms' older name in place of the newer `weight`."""
    renamed = {name.replace("norm.weight", "norm.scale"): shape for name, shape in shapes.items()}
    return {**renamed, **shapes}


def _side(shapes: Shapes, name: str, axes: int) -> int:
    """The second side of a weight that has this many axes."""
    if len(shapes[name]) != axes:
        raise ValueError(f"Its {name} has the shape {shapes[name]}; expected {axes} sides. Download the file again.")
    return shapes[name][1]


def _vae(channels: int) -> Weights:
    if channels != 16:
        return Weights("other", f"It is a VAE of {channels} channels, not FLUX.1's of 16: take ae.safetensors.")
    return Weights("VAE", "FLUX.1's VAE.")


def _clip(width: int) -> Weights:
    if width != 768:
        return Weights("other", f"It is a CLIP text encoder {width} wide, not CLIP-L of 768: take clip_l.safetensors.")
    return Weights("CLIP-L", "CLIP-L's text encoder.")


def _t5(width: int) -> Weights:
    if width != 4096:
        return Weights("other", f"It is a T5 encoder {width} wide, not T5-XXL of 4096: take t5xxl_fp16.safetensors.")
    return Weights("T5", "T5-XXL's encoder.")


def _parser(file: Path) -> Weights:
    from ...parse.files import read_parser

    read_parser(file)
    return Weights("parser", "a face parser (SegFormer).")


def _of_the_toy(file: Path, shapes: Shapes) -> Weights | None:
    from ...model.checkpoints.tensors import read_tensors
    from ...parse.judge import read_judge
    from ...toy.judge import Judge
    from ...toy.places import FILES, WEIGHTS

    if set(shapes) == set(Judge().state_dict()):
        read_judge(file, read_tensors(file)[0])
        return Weights("parser", "the toy's face parser.")
    from ...model.encoders.files import Weights as Stored

    embedded = WEIGHTS / FILES["text"]
    if embedded.is_file() and shapes == Stored((embedded,)).shapes():
        return Weights("toy text encoder", "the toy's text encoder.")
    return None


def _detector(file: Path) -> Weights:
    content = file.stat().st_size
    with file.open("rb") as stream:
        start = stream.read(64)
    if content < _SMALLEST_DETECTOR or not start.startswith(b"\x08"):
        raise ValueError(f"It is {content} bytes and not an ONNX model: download {file.name} again.")
    return Weights("detector", "an ONNX model, as the face detector of Align Face.")


def _gguf(file: Path) -> Weights:
    with file.open("rb") as stream:
        start = stream.read(4096)
    if not start.startswith(b"GGUF"):
        raise ValueError("It is not a GGUF file, though its name says so: download it again.")
    if b"flux" not in start:
        return Weights("other", "It is a GGUF file of another model than FLUX.1.")
    return Weights("transformer", "a FLUX.1 transformer as GGUF, which ComfyUI reads with ComfyUI-GGUF.")


def _is_of_a_run(file: Path) -> bool:
    import re

    return file.suffix == ".pt" and re.fullmatch(r"step_\d+\.pt", file.name) is not None


def _training_checkpoint(file: Path) -> Weights:
    from ...training.checkpoints import read

    state = read(file)
    return Weights("training checkpoint", f"a checkpoint of `mogle train` at step {state.step:,}; --resume takes it.")


def _ours(file: Path) -> Weights:
    from ...model.checkpoints.files import read

    checkpoint = read(file)
    kinds = {(True, True): "network and LoRA", (True, False): "network", (False, True): "LoRA"}
    kind = kinds[checkpoint.network is not None, checkpoint.lora is not None]
    return Weights(kind, describe(checkpoint))  # type: ignore[arg-type]  # three of the kinds


def describe(checkpoint: Checkpoint) -> str:
    """The contents of a checkpoint in words."""
    from ...model.checkpoints.lora_metadata import style_of

    parts = []
    if checkpoint.network is not None:
        config = checkpoint.network.config
        count = sum(parameter.numel() for parameter in checkpoint.network.parameters())
        parts.append(f"network ({config.num_experts} experts, {config.gate} gate, {count:,} parameters)")
    if checkpoint.lora is not None:
        lora = checkpoint.lora
        ranks = {part.rank for name in lora.rows for part in lora.parts(name)}
        rank = ", ".join(str(rank) for rank in sorted(ranks))
        parts.append(f"LoRA (rank {rank}, {len(lora.rows)} layers of a transformer {lora.width} wide)")
    stated = "" if "mogle.gate_timestep" in checkpoint.metadata else " (assumed: the file does not say)"
    described = f"{' and '.join(parts)}; gate timestep {checkpoint.recipe.gate_timestep}{stated}."
    if checkpoint.recipe.stream == "static":
        described += " The mask stream is static: one set of keys serves all steps, prompts and seeds."
    if checkpoint.lora is not None and (style := style_of(checkpoint.metadata)) is not None:
        described += f" Its metadata describes an ordinary LoRA ({style}), which belongs in ComfyUI's Load LoRA."
    return described
