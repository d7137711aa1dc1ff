"""What may change in the configuration between a checkpoint and the run that resumes from it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from .checkpoints import CheckpointError, State
from .config.reading import TrainingConfig, tomllib

logger = logging.getLogger(__name__)

MAY_CHANGE = (
    "loop.steps", "loop.accumulate", "loop.checkpoint_every", "loop.keep", "loop.trackers", "loop.resume",
    "loop.workers",
    "optimiser.lr", "optimiser.lr_network", "optimiser.clip", "optimiser.warmup", "optimiser.schedule", "optimiser.ema",
    "model.base_dtype", "model.offload_blocks", "model.gradient_checkpointing", "model.compile",
    "validation.seed", "validation.steps", "validation.guidance", "output",
    "cache.where", "cache.folder", "cache.shard_bytes",
    # Where the data is. The fingerprint shows whether it is the same data.
    "data.root", "data.images", "data.masks", "data.captions", "data.layout",
)  # fmt: skip
"""Keys, or whole sections, of the configuration. Every other key must be as it was."""

MAY_MOVE = ("model.transformer", "model.vae", "model.clip_l", "model.t5xxl", "model.tokenizers", "model.init")
"""Paths that may lead to another folder, but to a file of the same name."""

_SHAPES = ("lora.", "model.network.")


def check_resumable(state: State, config: TrainingConfig, trains: Mapping[str, str]) -> None:
    """Compare a checkpoint's configuration with this run's; changes that are allowed are logged.

    trains: as `Trainables.description` says it.

    Raises:
        CheckpointError: with both values of each key that must not change.
    """
    refused = []
    for key, before, now in differences(state.config, config):
        if allowed(key, before, now, config):
            logger.info("%s was %s and is now %s.", key, _shown(before), _shown(now))
        else:
            refused.append((key, f"{key} was {_shown(before)} and is now {_shown(now)}"))
    if not refused and state.trains:
        # A starting checkpoint (model.init) brings a network and a LoRA of its own, which the keys do not show.
        refused = [
            ("model.network.", f"the {name} was {state.trains.get(name)!r} and is now {now!r}")
            for name, now in trains.items()
            if state.trains.get(name) != now
        ]
    if refused:
        of_shapes = all(key.startswith(_SHAPES) for key, _ in refused)
        lead = "its [lora] or [model.network] section differs" if of_shapes else "its configuration differs"
        raise CheckpointError(
            f"The run cannot go on from this checkpoint, because {lead}: {'; '.join(words for _, words in refused)}. "
            "Set this as it was, or start a new run under another output.name, with model.init set to this one's "
            "result to start from its weights."
        )


def differences(before: str, now: TrainingConfig) -> Iterator[tuple[str, Any, Any]]:
    """Key, value before, value now, of a stored configuration and this one; a key that one lacks has None there."""
    tables = tomllib.loads(before)
    with suppress(ValidationError):  # keys that are not known any more: compared as they are
        tables = TrainingConfig.model_validate(tables).model_dump(mode="json")
    old, new = dict(_flat(tables)), dict(_flat(now.model_dump(mode="json")))
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            yield key, old.get(key), new.get(key)


def allowed(key: str, before: Any, now: Any, config: TrainingConfig) -> bool:
    if key == "validation.every":  # it holds pairs out, unless it is 0
        return bool(before) == bool(now)
    if key == "validation.pairs":
        return not config.validation.every
    if key in MAY_MOVE and isinstance(before, str) and isinstance(now, str):
        return Path(before).name == Path(now).name
    if key.startswith("conditions.folders."):  # the fingerprint shows whether its files are the same
        return before is not None and now is not None
    return key in MAY_CHANGE or key.split(".")[0] in MAY_CHANGE


def _flat(tables: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tables.items():
        if isinstance(value, Mapping) and name != "loss_weights":
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _shown(value: Any) -> str:
    return "not set" if value is None else repr(value)
