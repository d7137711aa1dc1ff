"""`mogle prepare`: check a data set, plan its cache, fill it, verify it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Literal

import torch

from ..dataset import DatasetError, list_pairs
from ..dataset.check import Parse, check
from ..dataset.layouts import LAYOUTS
from ..dataset.parts import FOLDER, merge_parts
from ..dataset.repair import repair
from ..dataset.report import write_report
from ..model.encoders import Encoders
from ..model.flux_latents import TOKEN_PIXELS
from ..support.cluster import Cluster
from ..support.sentences import counted
from .config.sections import Data, Model, TrainingConfig
from .data.cache import DiskStore, Plan, check_space, fill, keep_plan, kept_plan, make_plan, sole_writer
from .data.cache.encoding import encoded_by
from .data.conditions import check_files
from .data.items import find_items, split_items
from .data.rows import DTYPES
from .data.samples import open_encoders_of

Action = Literal["fill", "check", "plan", "verify", "repair"]

_TRIAL = 2  # encodes of each kind from which the time is estimated


def prepare(
    config: TrainingConfig,
    action: Action = "fill",
    device: str | None = None,
    out: Path | None = None,
    parse: Parse | None = None,
    cluster: Cluster | None = None,
    opener: Callable[[Model, str], Encoders] = open_encoders_of,
) -> Iterator[str]:
    """Run the action, and yield the lines of its report.

    Args:
        out: where `check` writes its report (None: nowhere), and `repair` its copy. parse: a parser for `check`.
        cluster: whose workers encode; None encodes in this process. opener: opens the encoders in a worker.

    Raises:
        ValueError: names the wrong file or key; with `check` only if the check itself cannot run.
    """
    yield from merge_if_needed(config.data)
    if action == "check":
        yield from _checked(config, out, parse)
        return
    if action == "repair":
        data = config.data
        pairs = list_pairs(data.root, data.layout, data.images, data.masks, data.captions).pairs
        beside = data.root if data.root.is_dir() else data.root.parent
        yield from repair(pairs, out or beside.with_name(beside.name + "_repaired"), data.root, data.label_space)
        return
    if action == "verify":
        count = sum(1 for _ in DiskStore(config.cache.folder, config.cache.shard_bytes).verify())
        yield f"{counted(count, 'file')} of {config.cache.folder} checked: nothing is damaged."
        return
    yield from _cached(config, action, device, cluster, opener)


def merge_if_needed(data: Data) -> Iterator[str]:
    """Merge CelebAMask-HQ's part masks into label maps, if a data set has part masks but no label maps."""
    parts = data.root / FOLDER
    names = (data.masks,) if data.masks else {name for places in LAYOUTS.values() for name in places.masks}
    # If merging was interrupted, it continues: `merge_parts` skips the files that exist.
    begun = data.root / (data.masks or Path("mask"))
    if parts.is_dir() and (begun.is_dir() or not any((data.root / name).is_dir() for name in names)):
        count = merge_parts(parts, begun)
        if count:
            yield f"{count} label maps were merged from part masks into {begun}."


def _checked(config: TrainingConfig, out: Path | None, parse: Parse | None) -> Iterator[str]:
    data = config.data
    listing = list_pairs(data.root, data.layout, data.images, data.masks, data.captions)
    names = [pair.name for pair in listing.pairs if pair.split in ("all", "train")]
    try:
        held_out = [names[number] for number in split_items(len(names), config.validation)[1]]
    except DatasetError as error:
        held_out = []
        yield f"warning: {error}"
    report = check(listing, data.label_space, held_out, parse)
    yield from report.lines()
    if out is not None:
        written = write_report(out, report.findings, data.label_space)
        yield f"{len(report.findings)} findings are in {', '.join(map(str, written))}."
    if report.errors:
        raise DatasetError(f"{len(report.errors)} errors were found in {data.root}; see above.")


def _cached(
    config: TrainingConfig,
    action: Action,
    device: str | None,
    cluster: Cluster | None,
    opener: Callable[[Model, str], Encoders],
) -> Iterator[str]:
    if config.cache.where != "disk":
        yield f'cache.where is "{config.cache.where}": there is nothing to keep on disk; training encodes by itself.'
        return
    encoders = open_encoders_of(config.model, device or ("cuda" if torch.cuda.is_available() else "cpu"))
    items = find_items(config.data)
    split_items(len(items), config.validation)
    check_files(items, config.conditions, config.data)
    store, dtype = DiskStore(config.cache.folder, config.cache.shard_bytes), DTYPES[config.cache.dtype]
    plan = kept_plan(config, items, encoders)
    if plan is None:
        plan = make_plan(config, items, encoders)
    with sole_writer(config.cache.folder):
        keep_plan(plan, config, items, encoders)
        missing = plan.missing(store)
        yield from _described(plan, missing, encoders, dtype)
        if action == "plan":
            yield _duration(missing, encoders)
            return
        check_space(config.cache.folder, sum(missing.bytes(encoders, dtype).values()))
        encode = partial(encoded_by, cluster, partial(opener, config.model), dtype) if cluster else None
        fill(missing, items, encoders, store, config.data, dtype, encode, config.conditions)
    yield f"The cache in {config.cache.folder} is complete."


def _described(plan: Plan, missing: Plan, encoders: Encoders, dtype: torch.dtype) -> Iterator[str]:
    whole, lacking = plan.bytes(encoders, dtype), missing.bytes(encoders, dtype)
    for kind, count in plan.counts().items():
        if count:
            yield f"{kind:<8} {count:>9} distinct, {readable(whole[kind])}; {readable(lacking[kind])} still to be made"
    yield f"in all   {readable(sum(whole.values()))}; {readable(sum(lacking.values()))} still to be made"


def _duration(missing: Plan, encoders: Encoders) -> str:
    """An estimate, from the time of a few encodes of each kind that is missing."""
    counts = missing.counts()
    pictures = counts["faces"] + counts["masks"] + counts.get("conditions", 0)
    seconds = 0.0
    if pictures:
        rows, columns = (TOKEN_PIXELS * int(side) for side in missing.grids[0])
        seconds += pictures * _each(lambda: encoders.vae.encode(torch.zeros(1, rows, columns, 3)))
    if counts["texts"]:
        encoders.vae.release()
        seconds += counts["texts"] * _each(lambda: encoders.text.encode(["A face."]))
    minutes = max(1, round(seconds / 60))
    return f"about {seconds / 3600:.1f} hours" if seconds > 5400 else f"about {counted(minutes, 'minute')}"


def _each(encode: Callable[[], object]) -> float:
    encode()  # reads the weights
    begun = time.perf_counter()
    for _ in range(_TRIAL):
        encode()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return (time.perf_counter() - begun) / _TRIAL


def readable(size: float) -> str:
    """Bytes in the unit that suits them."""
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.4g} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
