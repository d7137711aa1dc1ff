"""The configuration of a training run: one model for each section of its TOML file. Every key is checked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from ...dataset.layouts import Layout
from ...masks.labels import CLASS_NAMES, LABEL_SPACES
from ...model.flux_latents import TOKEN_PIXELS
from ...model.mixture.network import MoGLEConfig
from ...model.stream.attention import StreamOptions
from .conditions import Conditions
from .section import Count, Positive, Section, Share, as_tuple, check_known


class Data(Section):
    """The faces, their masks and captions.

    layout: how files are paired (`dataset.layouts`); "auto" detects it. root: the data set's folder, or a manifest's
        .jsonl file. images, masks, captions: replace the layout's places; relative paths start at root.
    label_space: of the stored masks. "auto" guesses for each file; it is meant for inspection, not for training.
    resolution: a square's side in pixels, a multiple of 16. With several, every pair is used at each of them.
    buckets: keep each picture's aspect ratio, at the resolution's area; otherwise all are cropped to squares.
    flip: show half of the samples mirrored, left and right classes swapped.
    pick: which of a picture's captions a sample takes. latents: whether faces' latents are drawn from the
        VAE's distribution, as the paper does, or are its mean; masks' are always the mean.
    loss_weights: by class name, a factor on the loss of its area; None or 1 does not change it.
    """

    layout: Layout = "auto"
    root: Path = Path("data")
    images: Path | None = None
    masks: Path | None = None
    captions: Path | None = None
    label_space: str = "celebamask"
    resolution: Annotated[
        tuple[Annotated[int, Field(ge=TOKEN_PIXELS)], ...],
        BeforeValidator(lambda value: (value,) if isinstance(value, int) else as_tuple(value)),
    ] = (512,)
    buckets: bool = False
    flip: bool = False
    pick: Literal["random", "first"] = "random"
    latents: Literal["sampled", "mean"] = "sampled"
    loss_weights: dict[str, Annotated[float, Field(ge=0)]] | None = None

    @field_validator("resolution")
    @classmethod
    def _multiples(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not value:
            raise ValueError("no resolution is given; the paper's is 512")
        for side in value:
            if side % TOKEN_PIXELS:
                near = max(TOKEN_PIXELS, round(side / TOKEN_PIXELS) * TOKEN_PIXELS)
                raise ValueError(f"{side} is not a multiple of {TOKEN_PIXELS}; the nearest one is {near}")
        return value

    @field_validator("label_space")
    @classmethod
    def _space(cls, value: str) -> str:
        check_known(value, ("auto", *LABEL_SPACES))
        return value

    @field_validator("loss_weights")
    @classmethod
    def _classes(cls, value: dict[str, float] | None) -> dict[str, float] | None:
        for name in value or ():
            check_known(name, CLASS_NAMES)
        return value


class Cache(Section):
    """The cache of encoded parts: where it is, its dtype, and about how large one file becomes."""

    where: Literal["disk", "memory", "none"] = "disk"
    folder: Path = Path("cache")
    dtype: Literal["bf16", "float32"] = "bf16"
    shard_bytes: Annotated[int, Field(ge=1024)] = 512 * 1024**2


class Network(Section):
    """The variant of the paper's network to train: see `mogle_core.model.mixture.network.MoGLEConfig`."""

    experts: Literal["both", "global", "local"] = "both"
    has_experts: bool = True
    gate: Literal["matrix", "scalar", "static", "none"] = "matrix"

    def config(self) -> MoGLEConfig:
        return MoGLEConfig(experts=self.experts, has_experts=self.has_experts, gate=self.gate)


class Stream(Section):
    """How the mask stream differs from the paper's; together with a `static` or `none` gate it becomes static.

    independent_condition: mask tokens see each other only. blind_vector: the mask's vector has the empty prompt's
        pooled text in the place of each prompt's.
    A static stream depends on the mask alone, so one set of keys serves all steps, prompts and seeds.
    """

    independent_condition: bool = False
    blind_vector: bool = False

    def options(self) -> StreamOptions:
        return StreamOptions(independent_condition=self.independent_condition)


class Model(Section):
    """The frozen models: paths of files or folders, or "toy" for the embedded small world.

    transformer: BFL's single file, or diffusers' folder. vae: ComfyUI's ae.safetensors, or a folder.
    clip_l, t5xxl: single files or folders. tokenizers: a folder that has both encoders' (diffusers' model, or
        a ComfyUI); None looks near the encoders. t5_tokens: length of the text; the paper's is 512.
    base_dtype: of the transformer's weights. offload_blocks: how many of its blocks stay in host memory until they run.
    init: a checkpoint of network and LoRA to start from. If its gate sees noise and time and network.gate is static,
        the gate starts with the mean of what it saw.
    """

    transformer: str = "models/diffusion_models/flux1-dev.safetensors"
    vae: str = "models/vae/ae.safetensors"
    clip_l: str = "models/text_encoders/clip_l.safetensors"
    t5xxl: str = "models/text_encoders/t5xxl_fp16.safetensors"
    tokenizers: Path | None = None
    t5_tokens: Positive = 512
    base_dtype: Literal["bf16", "float32", "fp8", "int8", "nf4"] = "bf16"
    offload_blocks: Count = 0
    gradient_checkpointing: bool = True
    compile: bool | Literal["blocks"] | None = None
    init: Path | None = None
    network: Network = Network()
    stream: Stream = Stream()


class LoRA(Section):
    """The mask stream's LoRA. alpha: None is the rank, a factor of 1. targets: a preset's name.

    targets: `official` all of the paper's layers; `attention` q, k, v and the projections of double blocks,
        q, k, v of single blocks; `query_key` q and k alone, so that the mask's look is not copied.
    """

    rank: Positive = 4
    alpha: Annotated[float, Field(gt=0)] | None = None
    targets: Literal["official", "attention", "query_key"] = "official"


class Optimiser(Section):
    """The optimiser. lr: None is 1 for Prodigy, which estimates the rate, and 1e-4 for AdamW. lr_network: None is lr.

    clip: the largest norm of the gradient; 0 does not clip. warmup: steps. ema: decay of the running average
    of the weights, which is saved with them; 0 computes none.
    """

    name: Literal["prodigy", "adamw", "adamw8bit"] = "prodigy"
    lr: Annotated[float, Field(gt=0)] = 1.0
    lr_network: Annotated[float, Field(gt=0)] | None = None
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    betas: tuple[Share, Share] = (0.9, 0.999)
    clip: Annotated[float, Field(ge=0)] = 0.5
    warmup: Count = 0
    schedule: Literal["constant", "cosine", "linear"] = "constant"
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0

    @model_validator(mode="before")
    @classmethod
    def _rate(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("lr") is None:
            return {**values, "lr": 1.0 if values.get("name", "prodigy") == "prodigy" else 1e-4}
        return values

    @field_validator("lr_network")
    @classmethod
    def _one_rate(cls, value: float | None, found: Any) -> float | None:
        if value is not None and found.data.get("name") == "prodigy":
            raise ValueError(
                "Prodigy estimates one step size for all it trains and takes no second rate; leave lr_network "
                'out, or set optimiser.name = "adamw"'
            )
        return value


class Timesteps(Section):
    """How t is drawn: logit_normal as the paper's code does. stratified: spread over the batch."""

    sampling: Literal["logit_normal", "uniform", "flux_shift"] = "logit_normal"
    stratified: bool = False


class Drop(Section):
    """How often the text becomes empty, each local mask black, and all masks black (the paper: never)."""

    text: Share = 0.1
    local_mask: Share = 0.1
    all_masks: Share = 0.0


class Loop(Section):
    """The optimiser's steps. `batch` counts the samples of a step over all processes and all `accumulate` parts.

    checkpoint_every: steps. keep: the number of checkpoints to keep. trackers: in addition to the JSONL of
    events, which is always written. resume: "never", "auto" (the newest checkpoint if there is one), or the path
    of a checkpoint.
    workers: processes that load the next steps' samples from the cache, for each training process; 0 loads them in
    the training process. None takes 4 on Linux, if there is a cache.
    """

    steps: Positive = 4000
    batch: Positive = 8
    accumulate: Positive = 1
    seed: int = 42
    checkpoint_every: Positive = 500
    keep: Positive = 3
    trackers: Annotated[tuple[Literal["tensorboard", "wandb"], ...], BeforeValidator(as_tuple)] = ()
    resume: str = "never"
    workers: Count | None = None

    @model_validator(mode="after")
    def _whole(self) -> Loop:
        if self.batch % self.accumulate:
            raise ValueError(f"batch {self.batch} does not divide into accumulate {self.accumulate} equal parts")
        return self


class Validation(Section):
    """Every `every` steps (0: never), the loss and pictures of `pairs` that training never sees, at fixed seeds.

    steps: sampling steps for a picture. guidance: the guidance embedding for these pictures.
    """

    every: Count = 500
    pairs: Positive = 4
    seed: int = 0
    steps: Positive = 28
    guidance: Annotated[float, Field(ge=0)] = 3.5


class Output(Section):
    """The folder of a run's files is folder/name."""

    folder: Path = Path("runs")
    name: Annotated[str, Field(pattern=r"^[^/\\]+$")] = "face_mogle"


class TrainingConfig(Section):
    """The configuration of a run, by section. The defaults are the paper's."""

    data: Data = Data()
    cache: Cache = Cache()
    model: Model = Model()
    lora: LoRA = LoRA()
    optimiser: Optimiser = Optimiser()
    timesteps: Timesteps = Timesteps()
    drop: Drop = Drop()
    conditions: Conditions = Conditions()
    loop: Loop = Loop()
    validation: Validation = Validation()
    output: Output = Output()
