"""The reports of a run: a progress bar, a file of events, and the configured trackers."""

from __future__ import annotations

import importlib.util
import logging
import math
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from ..support.records import append_record
from .config.reading import TrainingConfig

logger = logging.getLogger(__name__)

_PACKAGES = {"tensorboard": "tensorboard", "wandb": "wandb"}


class Reports:
    """What the loop reports to, in the first process of a run. The others have a `Silence`."""

    def __init__(self, folder: Path, config: TrainingConfig, step: int = 0) -> None:
        """step: the number of finished steps."""
        folder.mkdir(parents=True, exist_ok=True)
        self.steps = config.loop.steps
        self.events = folder / "events.jsonl"
        self.bar = tqdm(total=self.steps, initial=step, desc="train", unit="step", disable=None)
        self._cleanup = ExitStack()
        if not self.bar.disable:
            self._cleanup.enter_context(logging_redirect_tqdm())  # print log lines above the bar
        self.trackers = _trackers(folder, config)
        self._warned = False
        self.event("started", step=step)

    def measured(self, step: int, values: Mapping[str, float]) -> None:
        """Report the numbers of a step to all of them."""
        values = {**values, "memory_mib": peak_memory() / 2**20}
        self.event("step", step=step, **{name: _short(value) for name, value in values.items()})
        self._track(step, values)
        line = "  ".join(_words(values))
        self.bar.set_postfix_str(line, refresh=False)
        self.bar.update(step - self.bar.n)
        if self.bar.disable:
            logger.info("step %d of %d: %s", step, self.steps, line)

    def validated(self, step: int, values: Mapping[str, float], picture: Path | None) -> None:
        self.event("validation", step=step, picture=picture and str(picture), **values)
        self._track(step, {f"validation/{name}": value for name, value in values.items()})
        logger.info("step %d: validation loss %.4f, gate entropy %.3f", step, values["loss"], values["gate_entropy"])

    def event(self, kind: str, **values: object) -> None:
        """One line of events.jsonl; numbers that are not finite are null. A full disk does not end the run."""
        record = {name: _finite(value) for name, value in values.items()}
        try:
            append_record(self.events, {"time": round(time.time(), 3), "event": kind, **record})
        except OSError as error:
            if not self._warned:
                logger.warning("Events are not recorded, because %s cannot be written (%s).", self.events, error)
            self._warned = True
        else:
            self._warned = False

    def close(self) -> None:
        self.bar.close()
        self._cleanup.close()
        if self.trackers is not None:
            self.trackers.end_training()

    def _track(self, step: int, values: Mapping[str, float]) -> None:
        if self.trackers is None:
            return
        try:
            self.trackers.log(dict(values), step=step)
        except OSError as error:
            logger.warning("The numbers of step %d did not reach the trackers (%s).", step, error)


class Silence:
    """The reports of the other processes, which write nothing."""

    def measured(self, step: int, values: Mapping[str, float]) -> None: ...

    def validated(self, step: int, values: Mapping[str, float], picture: Path | None) -> None: ...

    def event(self, kind: str, **values: object) -> None: ...

    def close(self) -> None: ...


def check_trackers(config: TrainingConfig) -> None:
    """Raises ValueError for a tracker whose package is not installed, before anything is loaded."""
    for name in config.loop.trackers:
        if importlib.util.find_spec(_PACKAGES[name]) is None:
            raise ValueError(
                f"loop.trackers names {name}, which is not installed: pip install {_PACKAGES[name]}, or take it out "
                "of the list. events.jsonl is written in any case."
            )


def peak_memory() -> int:
    """The peak memory in bytes: of the GPU's tensors, or of the process without a GPU."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    try:
        import resource
    except ImportError:  # Windows
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _trackers(folder: Path, config: TrainingConfig) -> Any:
    """accelerate's trackers in the run's folder; None if none are configured."""
    if not config.loop.trackers:
        return None
    from accelerate import Accelerator
    from accelerate.state import PartialState

    cpu = PartialState().device.type == "cpu"
    accelerator = Accelerator(cpu=cpu, log_with=list(config.loop.trackers), project_dir=str(folder))
    flat = {
        f"{section}.{key}": value if isinstance(value, int | float | str) else str(value)
        for section, keys in config.model_dump(mode="json").items()
        for key, value in keys.items()
    }
    accelerator.init_trackers(config.output.name, config=flat)
    return accelerator


def _words(values: Mapping[str, float]) -> list[str]:
    forms = {"loss": "loss {:.4f}", "seconds_per_step": "{:.2f} s/step", "memory_mib": "{:,.0f} MiB"}
    words = [form.format(values[name]) for name, form in forms.items() if name in values]
    return words if math.isfinite(values.get("loss", 0.0)) else ["loss not finite", *words[1:]]


def _finite(value: object) -> object:
    """JSON has no word for what is not finite."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _short(value: float) -> float:
    return float(f"{value:.6g}")
