"""`mogle prepare --repair`: writes a copy of a data set with repaired masks, and never changes the set.

The copy holds masks and a manifest. The manifest points to the set's own pictures, so that nothing large is copied.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from tqdm import tqdm

from ..masks.decouple import index_image
from ..support.whole_files import write_png, write_whole
from .errors import DatasetError
from .findings import repaired
from .layouts import MANIFESTS
from .pairs import Pair
from .reading import read_mask


def repair(pairs: Sequence[Pair], out: Path, root: Path, label_space: str = "celebamask") -> Iterator[str]:
    """Write out/mask/NAME.png for every readable mask, and out/manifest.jsonl; yield the repairs.

    Raises:
        DatasetError: `out` is not empty, or lies inside the set or contains it.
    """
    _refuse_the_set(out, root if root.is_dir() else root.parent)
    lines, changed = [], 0
    for pair in tqdm(pairs, desc="repair", unit="mask", disable=None):
        try:
            label_map = read_mask(pair.mask, label_space)
        except DatasetError as error:
            yield f"{error} It is left out."
            continue
        ids, done = repaired(label_map.ids[0])
        target = out / "mask" / f"{pair.name}.png"
        write_png(index_image(ids), target)
        lines.append(json.dumps(_entry(pair, target, out), ensure_ascii=False))
        if done:
            changed += 1
            yield f"{pair.name}: {', '.join(done)}"
    write_whole(out / MANIFESTS[0], "".join(line + "\n" for line in lines))
    yield f"{changed} of {len(lines)} masks were repaired; set data.root to {out} to train on the copy."


def _refuse_the_set(out: Path, root: Path) -> None:
    place, kept = out.resolve(), root.resolve()
    if place == kept or kept in place.parents or place in kept.parents:
        raise DatasetError(f"{out} is part of the data set {root}: choose a folder beside it for the repaired copy.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DatasetError(f"{out} already holds files: choose a folder that is empty or does not exist.")


def _entry(pair: Pair, mask: Path, out: Path) -> dict[str, object]:
    entry: dict[str, object] = {"name": pair.name, "mask": mask.relative_to(out).as_posix()}
    if pair.picture is not None:
        entry["picture"] = os.path.relpath(pair.picture.resolve(), out.resolve())
    return entry | {"captions": list(pair.captions), "split": pair.split}
