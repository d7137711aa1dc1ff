"""The training loop: computes steps, and decides when a checkpoint, a report or a validation is due.

Everything random depends on a step's or a sample's number alone, so a run takes the same steps after it is resumed
from a checkpoint, and with any number of processes.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from ..model.checkpoints.recipe import Recipe, is_static
from ..model.flux.model import Flux
from ..support.versions import versions
from ..support.whole_files import DiskFullError
from . import checkpoints
from .checkpoints import State
from .config.reading import TrainingConfig, config_toml
from .data.draws import DropRates, Times, draw_samples
from .data.loading import Loaded, Part, Parts
from .data.samples import Samples
from .data.schedule import Pick, Schedule
from .ema import decay_at, follow, fresh_average
from .optimisers import careful_step, make_optimiser, set_rate, share_of_rate, step_size
from .processes import Processes, StopRequest
from .resuming import check_resumable
from .step import Batch, Blanks, step_loss
from .trainables import Trainables

logger = logging.getLogger(__name__)

LOG_EVERY = 10
"""Steps between two readings of the loss, because reading makes the host wait for the GPU."""

_CPU = torch.device("cpu")

STREAM = "train"
"""The name of training's random stream."""


class Watcher(Protocol):
    """Receives the numbers and events of a run."""

    def measured(self, step: int, values: Mapping[str, float]) -> None: ...

    def event(self, kind: str, **values: object) -> None: ...


class Trainer:
    """The run's models, data and optimiser, and the number of steps taken."""

    def __init__(
        self,
        config: TrainingConfig,
        flux: Flux,
        trainables: Trainables,
        samples: Samples,
        pairs: Sequence[int],
        processes: Processes | None = None,
        overfit: bool = False,
    ) -> None:
        """
        Args:
            pairs: which of the samples' pairs are trained on.
            overfit: every pair always has the same noise, time and conditions, so that the loss can go to zero.
        """
        self.config, self.flux, self.trainables, self.samples = config, flux, trainables, samples
        self.processes = processes or Processes()
        self.device = self.processes.device
        self.pairs, self.overfit = pairs, overfit
        self.optimiser = make_optimiser(config.optimiser, trainables.vectors)
        self.average = fresh_average(trainables.vectors) if config.optimiser.ema > 0 else {}
        self.schedule = Schedule([samples.grids[pair] for pair in pairs], config.loop.batch, config.loop.seed)
        self.loss_of: Callable[..., Tensor] = torch.compile(step_loss) if config.model.compile is True else step_loss
        self.step, self.parent = 0, ""
        self.skipped = torch.zeros((), dtype=torch.long, device=self.processes.device)
        self.rates = _rates(config, overfit)
        self.times = Times(config.timesteps.sampling, config.loop.batch if config.timesteps.stratified else 1)
        self.data = Parts(self.parts, self.load, self._storable, config.loop.steps, config.loop.workers, self.device)

    def take_step(self) -> tuple[Tensor, Tensor]:
        """Take one optimiser step; return this process's share of the loss and the gradient's norm, on the device."""
        self.trainables.zero_grad()
        loss = torch.zeros((), device=self.device)
        for part in self.data.step(self.step):
            scaled = self.loss(part) * (part.count / self.config.loop.batch)
            scaled.backward()  # type: ignore[no-untyped-call]
            loss += scaled.detach()
        self.processes.add(self.trainables.gradients())
        norm = self.trainables.norm()
        self._learn(norm)
        self.step += 1
        return loss, norm

    def picks(self, step: int) -> list[Pick]:
        """The pairs that a step learns from, and the sample numbers that their draws depend on."""
        found = [replace(pick, pair=self.pairs[pick.pair]) for pick in self.schedule.step(step)]
        return [replace(pick, sample=pick.pair) for pick in found] if self.overfit else found

    def parts(self, step: int) -> list[Part]:
        """This process's share of a step, in the parts in which it is computed."""
        return [tuple(part) for part in parts_of(self.processes.share(self.picks(step)), self.config.loop.accumulate)]

    def load(self, picks: Part) -> Loaded:
        """These samples and their draws, on the CPU."""
        batch = self.samples.batch(picks, _CPU)
        numbers, tokens = [pick.sample for pick in picks], batch.x0.shape[1]
        draws = draw_samples(self.config.loop.seed, STREAM, numbers, tokens, self.rates, self.times)
        return Loaded(batch, draws, len(picks))

    def loss(self, part: Loaded) -> Tensor:
        """The mean loss of a part."""
        return self.computed(part.batch, part.draws, self.samples.blanks(part.batch.grid, self.device))

    def _storable(self, picks: Part) -> bool:
        stored = getattr(self.samples, "stored", None)
        return stored is not None and all(stored(pick) for pick in picks)

    def computed(self, batch: Batch, draws: object, blanks: Blanks) -> Tensor:
        with torch.autocast(batch.x0.device.type, torch.bfloat16, enabled=self.config.model.base_dtype != "float32"):
            stream, trained = self.config.model.stream, (self.trainables.network, self.trainables.lora)
            return self.loss_of(self.flux, *trained, batch, draws, blanks, stream.options(), stream.blind_vector)

    def recipe(self) -> Recipe:
        """How to use what is trained."""
        stream, data = self.config.model.stream, self.config.data
        pooled = None
        if stream.blind_vector:
            pooled = self.samples.blanks(self.samples.grids[0], torch.device("cpu")).pooled.float()
        static = is_static(self.trainables.network.config, stream.options(), pooled)
        return Recipe(
            gate_timestep="training",
            resolution=max(data.resolution),
            options=stream.options(),
            pooled=pooled,
            stream="static" if static else "exact",
        )

    def _learn(self, norm: Tensor) -> None:
        settings, loop = self.config.optimiser, self.config.loop
        finite = norm.isfinite()
        self.trainables.clip(norm, settings.clip)
        set_rate(self.optimiser, share_of_rate(self.step, loop.steps, settings.warmup, settings.schedule))
        careful_step(self.optimiser, finite)
        self.skipped += ~finite
        if self.average:
            vectors = self.trainables.vectors
            decay = decay_at(self.step, settings.ema)
            follow([self.average[name] for name in vectors], list(vectors.values()), decay)

    def state(self) -> State:
        return State(
            step=self.step,
            trained={name: vector.detach() for name, vector in self.trainables.vectors.items()},
            average=self.average,
            optimiser=self.optimiser.state_dict(),
            skipped=int(self.skipped),
            config=config_toml(self.config),
            fingerprint=self.samples.fingerprint,
            versions=versions(),
            trains=self.trainables.description(),
            parent=self.parent,
        )

    def restore(self, state: State) -> None:
        """Resume from a checkpoint.

        Raises:
            CheckpointError: it was made with other data or another configuration, or trains other tensors.
        """
        check_resumable(state, self.config, self.trainables.description())
        former = getattr(self.samples, "former_fingerprint", None)  # of checkpoints from before contents counted
        if state.fingerprint not in (self.samples.fingerprint, former):
            raise checkpoints.CheckpointError(
                "The data set is not the one that this run began with: its files, or the [data] section, have "
                "changed. Bring them back, or begin a run with another output.name, with model.init set to this "
                "one's result to start from its weights."
            )
        try:
            self.trainables.load(state.trained)
        except ValueError as error:
            raise checkpoints.CheckpointError(str(error)) from error
        rates = [group["full_lr"] for group in self.optimiser.param_groups]
        self.optimiser.load_state_dict(state.optimiser)
        for group, rate in zip(self.optimiser.param_groups, rates, strict=True):
            group["full_lr"] = rate  # the configuration may have changed
        for name, average in self.average.items():
            average.copy_(state.average.get(name, state.trained[name]))
        self.step, self.parent = state.step, state.digest
        self.skipped.fill_(state.skipped)


def parts_of(picks: Sequence[Pick], count: int) -> list[Sequence[Pick]]:
    """This process's picks in at most `count` parts of about equal size, without empty parts."""
    return [part for part in (picks[i::count] for i in range(count)) if part]


@dataclass(frozen=True)
class Due:
    """What else a run does. folder: of the checkpoints. validate: called with the step when it is due."""

    folder: Path
    validate: Callable[[int], None] | None = None
    validate_every: int = 0


def fit(trainer: Trainer, due: Due, watcher: Watcher, stop: StopRequest | None = None) -> bool:
    """Take the remaining steps; False if the run was asked to stop before the last one."""
    try:
        return _fit(trainer, due, watcher, stop)
    finally:
        trainer.data.close()


def _fit(trainer: Trainer, due: Due, watcher: Watcher, stop: StopRequest | None) -> bool:
    loop, meter = trainer.config.loop, _Meter(trainer)
    while trainer.step < loop.steps:
        loss, norm = trainer.take_step()
        step, last = trainer.step, trainer.step == loop.steps
        stopping = trainer.processes.any(stop is not None and stop.asked)
        meter.add(loss, norm)
        if step % LOG_EVERY == 0 or last or stopping:
            meter.read(watcher)
        if step % loop.checkpoint_every == 0 or last or stopping:
            save(trainer, due.folder, watcher)
        if stopping and not last:
            watcher.event("stopped", step=step)
            return False
        if due.validate is not None and due.validate_every and (step % due.validate_every == 0 or last):
            due.validate(step)
            meter.restart()
    return True


def save(trainer: Trainer, folder: Path, watcher: Watcher) -> bool:
    """A checkpoint by the first process, for which the others wait; whether it is on the disk."""
    written = True
    if trainer.processes.first:
        state = trainer.state()
        if 1 <= checkpoints.fits(folder, checkpoints.bytes_of(state)) < 2:
            _complain_of_space(folder, "is the last that fits", watcher)
        try:
            path = checkpoints.write(folder, state, trainer.config.loop.keep)
        except DiskFullError:
            written = False
            _complain_of_space(folder, "was not written: there is no room", watcher)
        else:
            trainer.parent = checkpoints.digest_of(path)
            watcher.event("checkpoint", step=trainer.step, path=str(path))
    trainer.processes.wait()
    return written


def _complain_of_space(folder: Path, what: str, watcher: Watcher) -> None:
    sentence = (
        f"The disk of {folder} is full: this checkpoint {what}. Free some space, lower loop.keep, or set "
        "output.folder to another disk and resume."
    )
    logger.warning("%s", sentence)
    watcher.event("disk", message=sentence)


class _Meter:
    """Accumulates loss, time and skipped steps between two readings; until then, sums stay on the device."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer, self.skipped, self.lost = trainer, int(trainer.skipped), 0
        self.restart()

    def restart(self) -> None:
        # The sum of the finite losses, and how many were not finite.
        self.loss = torch.zeros(2, device=self.trainer.processes.device)
        self.norm = torch.zeros((), device=self.trainer.processes.device)
        self.count, self.since, self.waited = 0, time.monotonic(), self.trainer.data.seconds

    def add(self, loss: Tensor, norm: Tensor) -> None:
        self.count += 1
        self.loss += torch.stack((loss.nan_to_num(0.0, 0.0, 0.0), (~loss.isfinite()).to(loss)))
        self.norm = norm

    def read(self, watcher: Watcher) -> None:
        trainer = self.trainer
        trainer.processes.add([self.loss])
        skipped = int(trainer.skipped) - self.skipped
        total, broken = self.loss.tolist()
        finite = self.count - min(self.count, int(broken))
        seconds, waited = time.monotonic() - self.since, trainer.data.seconds - self.waited
        values = {
            "loss": total / finite if finite else math.nan,
            "norm": float(self.norm),
            "rate": step_size(trainer.optimiser),
            "seconds_per_step": seconds / max(1, self.count),
            "data_seconds_per_step": waited / max(1, self.count),
            "data_share": waited / max(seconds, 1e-9),
        }
        self._complain(skipped, watcher)
        watcher.measured(trainer.step, values)
        self.restart()

    def _complain(self, skipped: int, watcher: Watcher) -> None:
        """Warn about skipped steps; raise an error if all recent steps were skipped."""
        self.skipped += skipped
        if not skipped:
            self.lost = 0
            return
        self.lost += self.count if skipped == self.count else 0
        sentence = f"{skipped} of the last {self.count} steps had a gradient that is not finite and were left out."
        logger.warning("%s", sentence)
        watcher.event("not_finite", step=self.trainer.step, skipped=skipped)
        if self.lost >= 5 * LOG_EVERY:
            raise ValueError(
                f"The last {self.lost} steps all had a gradient that is not finite: nothing is learnt any more. Go "
                "on from an earlier checkpoint (loop.resume = its path) with a lower optimiser.lr or optimiser.clip; "
                'if it is so from the first step, try model.base_dtype = "bf16" and look at the data by '
                "`mogle prepare --check`."
            )


def _rates(config: TrainingConfig, overfit: bool) -> DropRates:
    if overfit:
        return DropRates(0.0, 0.0, 0.0)
    return DropRates(config.drop.text, config.drop.local_mask, config.drop.all_masks, config.conditions.rates)
