"""A whole run: its folder, its models and data, the loop, and its result."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from ..masks.decouple import colours, flip
from ..model.checkpoints.files import read
from ..model.encoders import Encoders
from ..model.encoders.registry import transformer_file
from ..model.flux.compiled import compiles_on
from ..model.flux.frozen import load_base
from ..model.flux.model import Flux
from ..model.mixture.network import MoGLE
from ..model.stream.lora import MaskLoRA
from ..support.locks import LockedError, sole_owner
from ..support.memory import is_out_of_memory
from ..support.whole_files import DiskFullError, write_whole
from . import checkpoints
from .checkpoints import State
from .config.reading import TrainingConfig, config_toml, tomllib
from .data.draws import generator
from .data.samples import EncodedSamples, open_encoders_of, open_samples
from .data.schedule import choose
from .loop import Due, Trainer, fit
from .processes import Processes, join_processes, stoppable
from .reports import Reports, Silence, check_trackers
from .result import write_result
from .start import blinded, fresh_lora, fresh_network, with_extra
from .trainables import Trainables
from .validation import Models, contact_sheet, measure, write_sheet

logger = logging.getLogger(__name__)

UNTRIED = ("int8", "nf4")
"""Weights that the trial of model.compile knows nothing of: their layers are other packages'."""


@dataclass(frozen=True)
class Folder:
    """The paths of a run's files."""

    root: Path
    name: str

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def pictures(self) -> Path:
        return self.root / "validation"

    @property
    def config(self) -> Path:
        return self.root / "config.toml"

    @property
    def lock(self) -> Path:
        return self.root.with_name(f".{self.name}.lock")

    @property
    def result(self) -> Path:
        return self.root / f"{self.name}.safetensors"


def train(config: TrainingConfig, overfit: int = 0) -> Path | None:
    """Start or resume a run; the result's path, or None if the run was asked to stop before its end.

    Args:
        overfit: train on this many pairs alone, as a test of the whole set-up: each always has the same noise,
            time and conditions, nothing is dropped, and the loss can go to zero. 0 trains.

    Raises:
        ValueError, OSError: a sentence on what is wrong, wherever possible before anything is loaded.
    """
    check_trackers(config)
    processes = join_processes()
    folder = Folder(config.output.folder / config.output.name, config.output.name)
    with _sole_trainer(folder, processes), _explained_memory(config):
        state = _state(config, folder)
        config = compiling(config, state, processes.device)
        encoders = open_encoders_of(config.model, processes.device)
        samples = _samples(config, encoders, processes)
        encoders.release()
        if overfit > len(samples.training):
            raise ValueError(f"--overfit {overfit} asks for more pairs than the {len(samples.training)} there are.")
        flux, trainables = models(config, processes.device)
        pairs = samples.training[: overfit or None]
        trainer = Trainer(config, flux, trainables, samples, pairs, processes, bool(overfit))
        if state is not None:
            trainer.restore(state)
        return _run(trainer, samples, encoders, folder)


@contextmanager
def _sole_trainer(folder: Folder, processes: Processes) -> Iterator[None]:
    """Hold the run's folder, by the first of its processes.

    Raises:
        ValueError: another run trains there; the message says whose.
    """
    if not processes.first:
        yield
        return
    try:
        with sole_owner(folder.lock):
            yield
    except LockedError as error:
        raise ValueError(
            f"{folder.root} is in use by {error}: wait until it ends, or set another output.name."
        ) from error


def compiling(config: TrainingConfig, state: State | None, device: torch.device) -> TrainingConfig:
    """The configuration with `model.compile` decided; a resumed run does as it did before."""
    if config.model.compile is not None:
        return config
    decided: bool | str = False
    if state is not None:
        decided = tomllib.loads(state.config).get("model", {}).get("compile", False)
    elif config.model.base_dtype not in UNTRIED and device.type == "cuda" and compiles_on(device):
        decided = "blocks"
    return config.model_copy(update={"model": config.model.model_copy(update={"compile": decided})})


def models(config: TrainingConfig, device: torch.device) -> tuple[Flux, Trainables]:
    """The frozen base, and network and LoRA fresh or from `model.init`."""
    model = config.model
    flux = load_base(
        transformer_file(model.transformer),
        model.base_dtype,
        device,
        model.offload_blocks,
        model.gradient_checkpointing,
        model.compile == "blocks",
    )
    network, lora = _initial(config, flux)
    if lora.width != flux.params.hidden_size:
        raise ValueError(
            f"model.init = {model.init} was made for a transformer {lora.width} wide; {model.transformer} is "
            f"{flux.params.hidden_size} wide."
        )
    return flux, Trainables(network, lora, device)


def _initial(config: TrainingConfig, flux: Flux) -> tuple[MoGLE, MaskLoRA]:
    seed, lora = config.loop.seed, config.lora
    network: MoGLE | None = None
    pairs: MaskLoRA | None = None
    if config.model.init is not None:
        found = read(config.model.init)
        network, pairs = found.network, found.lora
        logger.info("Starting from %s; its own network and LoRA count, not [lora].", config.model.init)
    if network is not None and config.model.network.gate == "static" and network.config.gate == "scalar":
        raise ValueError(
            f"model.network.gate is static, and {config.model.init} has a scalar gate, which cannot become static: "
            "start from a checkpoint with a matrix gate, or leave model.init out."
        )
    if network is not None and config.model.network.gate == "static" and network.config.gate == "matrix":
        network = blinded(network)
        logger.info("Its gate starts with the mean of the noise and the times that it saw.")
    if network is None:
        network = fresh_network(config.model.network.config(), seed)
    network = with_extra(network, config.conditions.kinds, seed)
    if pairs is None:
        pairs = fresh_lora(flux, lora.rank, generator(seed, "lora", 0), lora.alpha, lora.targets)
    return network, pairs.float()


def _run(trainer: Trainer, samples: EncodedSamples, encoders: Encoders, folder: Folder) -> Path | None:
    config, processes = trainer.config, trainer.processes
    reports = Reports(folder.root, config, trainer.step) if processes.first else Silence()
    if processes.first:
        _write_or_warn(folder.config, config_toml(config))
    due = Due(folder.checkpoints, _validation(trainer, samples, encoders, folder, reports), config.validation.every)
    if trainer.step == 0 and config.model.init is not None and config.conditions.kinds and due.validate is not None:
        due.validate(0)  # what the new experts start from: the same as without them
    try:
        with stoppable() as stop:
            finished = fit(trainer, due, reports, stop)
        if not finished:
            logger.info("Stopped after step %d; go on by: mogle train … --resume auto", trainer.step)
            return None
        if processes.first:
            _leave_result(trainer, samples.fingerprint, folder)
            reports.event("finished", step=trainer.step, path=str(folder.result))
        processes.wait()
        return folder.result
    finally:
        reports.close()


def _write_or_warn(path: Path, text: str) -> None:
    try:
        write_whole(path, text)
    except DiskFullError as error:
        logger.warning("%s", error)


def _leave_result(trainer: Trainer, fingerprint: str, folder: Folder) -> None:
    """Write the result; on a full disk older checkpoints make room, and the newest stays.

    Raises:
        ValueError: there is no room for the result beside the newest checkpoint.
    """
    network, lora = leaving(trainer)
    while True:
        try:
            write_result(folder.result, network, lora, trainer.config, trainer.step, fingerprint, trainer.recipe())
            return
        except DiskFullError as error:
            if checkpoints.make_room(folder.checkpoints):
                continue
            raise ValueError(
                f"{error} The newest checkpoint is {_newest_name(folder)}: once there is room, `mogle train … --resume "
                "auto` goes on from it and writes the result."
            ) from error


def _newest_name(folder: Folder) -> str:
    written = checkpoints.steps_of(folder.checkpoints)
    return str(written[-1]) if written else "missing"


def leaving(trainer: Trainer) -> tuple[MoGLE, MaskLoRA]:
    """The network and LoRA of the result if the run ended now: of the running average if there is one."""
    return trainer.trainables.filled(trainer.average or trainer.trainables.vectors)


def _validation(
    trainer: Trainer, samples: EncodedSamples, encoders: Encoders, folder: Folder, reports: Reports | Silence
) -> Callable[[int], None] | None:
    """The function that validates: the first process measures and makes the pictures, the others wait."""
    held = samples.held_out
    if trainer.overfit or not held:
        return None
    settings, device = trainer.config.validation, trainer.processes.device

    def show(pair: int) -> Tensor:
        ids = samples.ids(pair)[None]
        mirrored = choose(trainer.config.data, trainer.config.loop.seed, pair, 0).mirrored
        mask = colours(flip(ids) if mirrored else ids)[0]
        return torch.cat((mask, *samples.shown_conditions(pair)), dim=1)

    def validate(step: int) -> None:
        if trainer.processes.first:
            autocast = trainer.config.model.base_dtype != "float32"
            now = Models(trainer.flux, *leaving(trainer), autocast, trainer.recipe())
            values = measure(now, trainer.samples, held, settings.seed, device)
            arguments = (settings.seed, settings.steps, settings.guidance, device, encoders.vae.decode, show)
            sheet = contact_sheet(now, trainer.samples, held, *arguments)
            encoders.vae.release()
            reports.validated(step, values, _written(sheet, folder.pictures, step))
        trainer.processes.wait()

    return validate


def _written(sheet: Image.Image, folder: Path, step: int) -> Path | None:
    """The sheet's path, or None where the disk is full: a run does not end for a picture."""
    try:
        return write_sheet(sheet, folder, step)
    except DiskFullError as error:
        logger.warning("%s", error)
        return None


def _state(config: TrainingConfig, folder: Folder) -> State | None:
    """The checkpoint to resume from; a new run refuses a folder that has checkpoints of another run."""
    resume = config.loop.resume
    if resume == "auto":
        return checkpoints.newest(folder.checkpoints) if folder.checkpoints.is_dir() else None
    if resume != "never":
        return checkpoints.read(Path(resume))
    if checkpoints.steps_of(folder.checkpoints):
        raise ValueError(
            f"{folder.root} holds the checkpoints of a run: go on with --resume auto, or take another output.name."
        )
    return None


def _samples(config: TrainingConfig, encoders: Encoders, processes: Processes) -> EncodedSamples:
    """Open the samples; the first process fills the cache before the others open it."""
    if processes.first:
        samples = open_samples(config, encoders)
    processes.wait()
    return samples if processes.first else open_samples(config, encoders)


class _explained_memory(nullcontext[None]):  # noqa: N801 (used as a statement)
    """Turns an out-of-memory error into a message with the option that helps."""

    def __init__(self, config: TrainingConfig) -> None:
        super().__init__()
        self.config = config

    def __exit__(self, *raised: object) -> None:
        error = raised[1]
        if isinstance(error, Exception) and is_out_of_memory(error):
            raise ValueError(f"Out of memory. {advice(self.config)} (`--dry-run` shows what each costs.)") from error


def advice(config: TrainingConfig) -> str:
    """The next option that saves memory, the cheapest first."""
    model, loop = config.model, config.loop
    if not model.gradient_checkpointing:
        return "Set model.gradient_checkpointing = true: about a third slower, and by far the largest saving."
    if loop.accumulate < loop.batch:
        return f"Set loop.accumulate = {min(2 * loop.accumulate, loop.batch)}: the same step in smaller parts."
    if model.base_dtype in ("float32", "bf16"):
        return 'Set model.base_dtype = "fp8": half the memory of the frozen transformer.'
    if model.base_dtype == "fp8":
        return f"Set model.offload_blocks = {min(57, model.offload_blocks + 19)}: they wait in the host's memory."
    return 'Set model.base_dtype = "fp8" with model.offload_blocks, or lower data.resolution.'
