"""A small run on the toy's transformer for the trainer's tests. Run as a script, it trains in a separate process."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from mogle_core.masks.labels import NUM_MASKS
from mogle_core.model.flux.frozen import load_base
from mogle_core.model.flux_latents import TOKEN_WIDTH
from mogle_core.toy.places import FILES, WEIGHTS
from mogle_core.toy.text import CONTEXT_WIDTH, POOLED_WIDTH, SLOTS
from mogle_core.training import checkpoints
from mogle_core.training.config.reading import TrainingConfig
from mogle_core.training.data.draws import generator
from mogle_core.training.data.schedule import Pick
from mogle_core.training.loop import Due, Trainer, fit
from mogle_core.training.processes import Processes, join_processes
from mogle_core.training.start import fresh_lora, fresh_network
from mogle_core.training.step import Batch, Blanks
from mogle_core.training.trainables import Trainables

CPU = torch.device("cpu")


class NoiseSamples:
    """Pairs of noise instead of latents. What the loop does with them does not depend on their content."""

    def __init__(
        self,
        pairs: int = 6,
        grid: tuple[int, int] = (2, 3),
        text: int = SLOTS,
        context: int = CONTEXT_WIDTH,
        pooled: int = POOLED_WIDTH,
    ) -> None:
        """text: tokens of a text, `context` wide."""
        self.grids: list[tuple[int, int]] = [grid] * pairs
        self.texts = ((text, context), (pooled,))
        self.fingerprint = f"{pairs} pairs of {grid}"
        self.drawn: dict[tuple[int, int], tuple[Tensor, ...]] = {}

    def batch(self, picks: Sequence[Pick], device: torch.device) -> Batch:
        rows, columns = self.grids[picks[0].pair]
        each = [self._pair(pick.pair, rows * columns) for pick in picks]
        x0, masks, context, pooled = (torch.stack(part).to(device) for part in zip(*each, strict=True))
        return Batch(x0, masks, context, pooled, (rows, columns))

    def blanks(self, grid: tuple[int, int], device: torch.device) -> Blanks:
        shapes = ((grid[0] * grid[1], TOKEN_WIDTH), *self.texts)
        return Blanks(*(torch.zeros(shape).to(device) for shape in shapes))

    def _pair(self, number: int, tokens: int) -> tuple[Tensor, ...]:
        if (number, tokens) not in self.drawn:
            rng = generator(0, "pair", number)
            shapes = ((tokens, TOKEN_WIDTH), (NUM_MASKS, tokens, TOKEN_WIDTH), *self.texts)
            self.drawn[number, tokens] = tuple(torch.randn(shape, generator=rng) for shape in shapes)
        return self.drawn[number, tokens]


class StoredSamples(NoiseSamples):
    """Pairs that loading processes may read, as those of a cache."""

    def stored(self, _pick: Pick) -> bool:
        return True


class Listener:
    """A watcher that records what it receives."""

    def __init__(self) -> None:
        self.measures: list[tuple[int, dict[str, float]]] = []
        self.events: list[tuple[str, dict[str, object]]] = []

    def measured(self, step: int, values: Any) -> None:
        self.measures.append((step, dict(values)))

    def event(self, kind: str, **values: object) -> None:
        self.events.append((kind, values))


def config(**sections: dict[str, Any]) -> TrainingConfig:
    """The toy's configuration in float32, with these keys changed."""
    tables: dict[str, dict[str, Any]] = {
        "model": {"transformer": "toy", "base_dtype": "float32", "gradient_checkpointing": False},
        "lora": {"rank": 2},
        "optimiser": {"ema": 0.9},
        "loop": {"steps": 40, "batch": 4, "checkpoint_every": 10, "seed": 3},
    }
    for name, keys in sections.items():
        tables[name] = {**tables.get(name, {}), **keys}
    return TrainingConfig.model_validate(tables)


@lru_cache
def _base(kind: Any) -> Any:
    return load_base(WEIGHTS / FILES["flux"], kind, CPU)


def trainer(settings: TrainingConfig, processes: Processes | None = None, samples: Any = None) -> Trainer:
    samples = samples or NoiseSamples()
    flux = _base(settings.model.base_dtype)
    seed = settings.loop.seed
    lora = fresh_lora(flux, settings.lora.rank, generator(seed, "lora", 0))
    network = fresh_network(settings.model.network.config(), seed)
    return Trainer(settings, flux, Trainables(network, lora), samples, range(len(samples.grids)), processes)


def everything(run: Trainer) -> dict[str, Tensor]:
    """Everything that training changes, by name."""
    found: dict[str, Tensor] = {name: parameter.detach() for name, parameter in run.trainables.named()}
    found |= {f"average.{name}": vector for name, vector in run.average.items()}
    for number, entry in run.optimiser.state_dict()["state"].items():
        found |= {f"optimiser.{number}.{key}": torch.as_tensor(value) for key, value in entry.items()}
    for number, group in enumerate(run.optimiser.param_groups):
        numbers = {key: value for key, value in group.items() if isinstance(value, int | float)}
        found |= {f"group.{number}.{key}": torch.tensor(value) for key, value in numbers.items()}
    return found


def main(folder: Path, optimiser: str, steps: int, dies: str = "never", resume: str = "newest") -> None:
    """Trains in `folder` to the end of the run, from the newest checkpoint if there is one, or from that of a path.

    dies: `in step 21` between its backward pass and the optimiser, `in writing 20` with half of the checkpoint on
        the disk. Both by SIGKILL, which a process cannot catch.
    """
    torch.set_num_threads(1)
    settings = config(optimiser={"name": optimiser}, loop={"steps": steps, "workers": 2})
    run = trainer(settings, join_processes(), StoredSamples())
    if state := checkpoints.newest(folder) if resume == "newest" else checkpoints.read(Path(resume)):
        run.restore(state)
    print("step", run.step, flush=True)
    if dies == "in step 21":
        run._learn = partial(_die_in_step_21, run, run._learn)  # type: ignore[method-assign]
    if dies == "in writing 20":
        torch.save = partial(_die_in_writing_20, torch.save)
    fit(run, Due(folder), Printer())
    if run.processes.first:
        torch.save(everything(run), folder / "end.pt")


def _die_in_step_21(run: Trainer, learn: Callable[[Tensor], None], norm: Tensor) -> None:
    if run.step == 20:
        os.kill(os.getpid(), signal.SIGKILL)
    learn(norm)


def _die_in_writing_20(save: Callable[..., None], state: Any, file: BinaryIO) -> None:
    whole = io.BytesIO()
    save(state, whole)
    dies = state["step"] == 20
    file.write(whole.getvalue()[: len(whole.getvalue()) // 2 if dies else None])
    if dies:
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)


class Printer(Listener):
    def event(self, kind: str, **values: object) -> None:
        print(kind, values.get("step"), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), *sys.argv[4:])
