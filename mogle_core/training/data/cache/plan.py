"""Lists the keys of everything that a run will read from the cache, before anything is encoded.

A run's samples are a function of their numbers, so the plan has only the captions and mirrored sides that the run
will show: at 4,000 steps of 8, a tenth of MM-CelebA-HQ's captions, which is 125 GiB of text instead of 1 TiB.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from ....masks.labels import NUM_MASKS
from ....model.encoders import Encoders
from ....model.flux_latents import TOKEN_WIDTH
from ....support.tensor_files import write_safetensors
from ...config.sections import TrainingConfig
from ..conditions import conditions_fingerprint, find_file, styles_of
from ..items import Item, content_digests, file_digest, readable_ids, split_items
from ..schedule import Schedule, choose
from .keys import (
    Keys,
    black_key,
    condition_key,
    distinct,
    face_key,
    first_of_each,
    mask_keys,
    stacked,
    text_key,
    weighed,
    weights_key,
)
from .shards import Store, checksum, read_checked

_AT_ONCE = 1 << 16

PARTS = ("faces", "masks", "weights", "texts", "blanks", "empty", "conditions")
"""The plan's fields that are keys."""

_Found = TypeVar("_Found")
_Side = tuple[bytes, list[bytes], bytes, Keys]  # keys of a face, its masks, its loss's weights, its conditions


@dataclass(frozen=True)
class Needs:
    """The sides and captions that a run shows.

    sides: (N, S) bool, of each item as it is and, where the run mirrors, mirrored. texts: (T,) bool, of all captions
    one after the other. offsets: (N + 1,), where each item's captions begin. styles: (N, S, K, V) bool, the pictures of
    each of K further conditions.
    """

    sides: NDArray[np.bool_]
    texts: NDArray[np.bool_]
    offsets: NDArray[np.int64]
    styles: NDArray[np.bool_]


@dataclass(frozen=True)
class Plan:
    """The keys of all that a run needs; zeros elsewhere.

    grids: (N, 2) rows and columns of tokens. faces: (N, S, 2), item, side. masks: (N, S, 20, 2). weights:
    (N, S, 2), of the loss. texts: (T, 2). offsets: (N + 1,), where each item's captions begin. blanks: (N, 2),
    the black picture of its size. empty: (1, 2), the empty prompt. conditions: (N, S, K, V, 2), the pictures of further
    conditions.
    """

    grids: NDArray[np.int64]
    faces: Keys
    masks: Keys
    weights: Keys
    texts: Keys
    offsets: NDArray[np.int64]
    blanks: Keys
    empty: Keys
    conditions: Keys

    def __len__(self) -> int:
        return len(self.grids)

    def is_in(self, store: Store) -> bool:
        """Whether the store has everything; it checks a few keys at a time to save memory."""
        find = store.finder()
        for part in (getattr(self, name) for name in PARTS):
            flat = part.reshape(-1, 2)
            for first in range(0, len(flat), _AT_ONCE):
                keys = flat[first : first + _AT_ONCE]
                if (find(keys[keys.any(1)]) < 0).any():
                    return False
        return True

    def missing(self, store: Store) -> Plan:
        """This plan with zeros for what the store has, and for all but the first place of a key."""
        parts = [getattr(self, name) for name in PARTS]
        flat = np.concatenate([part.reshape(-1, 2) for part in parts])
        wanted: NDArray[np.bool_] = first_of_each(flat) & flat.any(1)
        wanted[wanted] = store.finder()(flat[wanted]) < 0
        kept = np.split(np.where(wanted[:, None], flat, np.uint64(0)), np.cumsum([p.size // 2 for p in parts])[:-1])
        shaped = {n: k.reshape(p.shape) for n, k, p in zip(PARTS, kept, parts, strict=True)}
        return Plan(grids=self.grids, offsets=self.offsets, **shaped)

    def counts(self) -> dict[str, int]:
        """Distinct rows of each kind."""
        kinds = {
            "faces": (self.faces,),
            "masks": (self.masks, self.blanks),
            "texts": (self.texts, self.empty),
            "weights": (self.weights,),
        }
        if self.conditions.size:
            kinds["conditions"] = (self.conditions,)
        flat = {kind: np.concatenate([part.reshape(-1, 2) for part in parts]) for kind, parts in kinds.items()}
        return {kind: distinct(keys) for kind, keys in flat.items()}

    def bytes(self, encoders: Encoders, dtype: torch.dtype) -> dict[str, int]:
        """The bytes of each kind's rows."""
        size = torch.empty(0, dtype=dtype).element_size()
        tokens, width, pooled = encoders.text.sizes
        latent = self.grids.prod(1) * TOKEN_WIDTH * size
        each_face, each_mask = latent * (2 if encoders.vae.has_variance else 1), latent
        each_weight, sides = self.grids.prod(1) * 4, self.faces.shape[:-1]
        sizes = {
            "faces": weighed(self.faces, np.broadcast_to(each_face[:, None], sides)),
            "masks": weighed(
                np.concatenate((self.masks.reshape(-1, 2), self.blanks)),
                np.concatenate((np.repeat(each_mask, self.masks.shape[1] * NUM_MASKS), each_mask)),
            ),
            "texts": self.counts()["texts"] * (tokens * width + pooled) * size,
            "weights": weighed(self.weights, np.broadcast_to(each_weight[:, None], sides)),
        }
        if self.conditions.size:
            each = np.broadcast_to(each_mask[:, None, None, None], self.conditions.shape[:-1])
            sizes["conditions"] = weighed(self.conditions, each)
        return sizes

    def save(self, path: Path) -> None:
        # A plan without further conditions has no tensor for them, as before there were any.
        parts = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "conditions" or self.conditions.size}
        tensors = {name: torch.from_numpy(part.view(np.int64)) for name, part in parts.items()}
        write_safetensors(path, tensors, {"checksum": checksum(tensors)})

    @classmethod
    def load(cls, path: Path) -> Plan:
        """Raises CacheError for a file that is damaged."""
        stored = read_checked(path)
        integers = ("grids", "offsets")
        none = torch.zeros((*stored["faces"].shape[:2], 0, 1, 2), dtype=torch.int64)
        parts: dict[str, Any] = {f.name: stored.get(f.name, none).numpy() for f in fields(cls)}
        return cls(**{name: part if name in integers else part.view(np.uint64) for name, part in parts.items()})


def needs_of(config: TrainingConfig, items: Sequence[Item]) -> Needs:
    """The needs of the run's schedule. Held-out items need both sides and all captions."""
    captions = np.array([len(item.pair.captions) for item in items], dtype=np.int64)
    offsets = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(captions)))
    sides = np.zeros((len(items), 2 if config.data.flip else 1), dtype=bool)
    texts = np.zeros(int(offsets[-1]), dtype=bool)
    counts = [config.conditions.count(kind) for kind in config.conditions.kinds]
    styles = np.zeros((*sides.shape, len(counts), max(counts, default=1)), dtype=bool)
    training, held_out = split_items(len(items), config.validation)
    for number in held_out:
        sides[number] = True
        texts[offsets[number] : offsets[number + 1]] = True
        for place, (_, style) in enumerate(styles_of(config.conditions, number)):
            styles[number, :, place, style] = True  # validation takes the item's number as the sample's
    schedule = Schedule([items[number].frame.grid for number in training], config.loop.batch, config.loop.seed)
    for step in range(config.loop.steps):
        for pick in schedule.step(step):
            item = training[pick.pair]
            choice = choose(config.data, config.loop.seed, pick.sample, int(captions[item]))
            sides[item, int(choice.mirrored)] = True
            for place, (_, style) in enumerate(styles_of(config.conditions, pick.sample)):
                styles[item, int(choice.mirrored), place, style] = True
            if choice.caption >= 0:
                texts[offsets[item] + choice.caption] = True
    return Needs(sides, texts, offsets, styles)


def make_plan(config: TrainingConfig, items: Sequence[Item], encoders: Encoders, workers: int = 4) -> Plan:
    """The keys of all parts that the run needs. This reads every mask, and every picture's bytes, that it shows.

    Raises:
        DatasetError: a file that cannot be read.
    """
    needs = needs_of(config, items)
    vae, text = f"{encoders.vae.fingerprint} {config.cache.dtype}", f"{encoders.text.fingerprint} {config.cache.dtype}"
    faces = np.zeros((*needs.sides.shape, 2), dtype=np.uint64)
    masks = np.zeros((*needs.sides.shape, NUM_MASKS, 2), dtype=np.uint64)
    weights = np.zeros_like(faces)
    conditions = np.zeros((*needs.styles.shape, 2), dtype=np.uint64)
    shown = _shown(needs)

    def keys_of(place: tuple[int, int]) -> _Side:
        item, mirrored = items[place[0]], bool(place[1])
        ids = readable_ids(item, config.data.label_space, mirrored)
        wanted = config.data.loss_weights
        return (
            face_key(item, mirrored, vae),
            mask_keys(ids, vae),
            weights_key(ids, wanted) if wanted else bytes(16),
            _condition_keys(config, item, ids, mirrored, needs.styles[place], vae),
        )

    for (number, side), (face, mask, weight, further) in zip(
        shown, _in_order(keys_of, shown, "plan", workers), strict=True
    ):
        faces[number, side], weights[number, side] = stacked([face])[0], stacked([weight])[0]
        masks[number, side], conditions[number, side] = stacked(mask), further
    return Plan(
        grids=np.array([item.frame.grid for item in items], dtype=np.int64).reshape(-1, 2),
        faces=faces,
        masks=masks,
        weights=weights,
        texts=_text_keys(items, needs, text),
        offsets=needs.offsets,
        blanks=_blank_keys(items, vae),
        empty=stacked([text_key("", text)]),
        conditions=conditions,
    )


def read_all(config: TrainingConfig, items: Sequence[Item]) -> None:
    """For a run without a cache: read all that it shows once, so that it does not stop at a broken file later.

    Raises:
        DatasetError: a file that cannot be read.
    """

    def read(place: tuple[int, int]) -> None:
        readable_ids(items[place[0]], config.data.label_space)

    for _ in _in_order(read, _shown(needs_of(config, items)), "read"):
        pass


def _condition_keys(
    config: TrainingConfig, item: Item, ids: Tensor, mirrored: bool, styles: NDArray[np.bool_], encoder: str
) -> Keys:
    """The keys of an item's further conditions at one side, (K, V, 2); zeros where `styles` is not set."""
    keys = np.zeros((*styles.shape, 2), dtype=np.uint64)
    for place, style in zip(*styles.nonzero(), strict=True):
        kind, file = config.conditions.kinds[place], b""
        if kind in config.conditions.folders:
            file = bytes.fromhex(file_digest(find_file(item, kind, config.conditions, config.data)))
        keys[place, style] = stacked([condition_key(item, kind, int(style), file, ids, mirrored, encoder)])[0]
    return keys


def _shown(needs: Needs) -> list[tuple[int, int]]:
    """The items and sides that are shown."""
    return list(zip(*map(np.ndarray.tolist, needs.sides.nonzero()), strict=True))


def _text_keys(items: Sequence[Item], needs: Needs, encoder: str) -> Keys:
    texts = (text for item in items for text in item.pair.captions)
    found = [text_key(text, encoder) if used else bytes(16) for text, used in zip(texts, needs.texts, strict=True)]
    return stacked(found) if found else np.zeros((0, 2), dtype=np.uint64)


def _blank_keys(items: Sequence[Item], encoder: str) -> Keys:
    known = {item.frame.grid: item.frame for item in items}
    keys = {grid: black_key(frame, encoder) for grid, frame in known.items()}
    return stacked([keys[item.frame.grid] for item in items])


def _in_order(
    keys_of: Callable[[tuple[int, int]], _Found], shown: list[tuple[int, int]], what: str, workers: int = 4
) -> Iterator[_Found]:
    """In the order of `shown`, by a few threads that work on some hundreds at a time."""
    with ThreadPoolExecutor(workers) as pool, tqdm(total=len(shown), desc=what, unit="side", disable=None) as bar:
        for first in range(0, len(shown), 256):
            for found in pool.map(keys_of, shown[first : first + 256]):
                bar.update()
                yield found


def plan_fingerprint(config: TrainingConfig, items: Sequence[Item], encoders: Encoders) -> str:
    """Changes whenever a stored plan would no longer hold: with any byte of a mask or picture."""
    digest = hashlib.blake2b(digest_size=16)
    settings = config.data.model_dump(exclude={"root", "images", "masks", "captions", "layout"})
    loop, validation = config.loop, config.validation
    run = (loop.steps, loop.batch, loop.seed, validation.pairs if validation.every else 0, config.cache.dtype)
    digest.update(repr((sorted(settings.items()), run, encoders.vae.fingerprint, encoders.text.fingerprint)).encode())
    digest.update(conditions_fingerprint(items, config.conditions, config.data).encode())
    for item, contents in zip(items, content_digests(items), strict=True):
        digest.update(repr((contents, item.pair.captions, item.frame)).encode())
    return digest.hexdigest()
