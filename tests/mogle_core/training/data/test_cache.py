"""The cache is planned to the byte, filled once, and continues after any interruption."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from support.places import REPOSITORY, TESTS
from support.small_sets import PlainText, PlainVAE, config, plain_encoders, write_set

from mogle_core.model.encoders import Encoders
from mogle_core.training.config.reading import TrainingConfig
from mogle_core.training.data.cache import (
    CacheError,
    DiskStore,
    MemoryStore,
    Plan,
    check_space,
    fill,
    make_plan,
    needs_of,
    open_store,
    sole_writer,
)
from mogle_core.training.data.cache.encoding import in_halves
from mogle_core.training.data.cache.keys import key, stacked
from mogle_core.training.data.items import find_items
from mogle_core.training.data.rows import Row, Rows
from mogle_core.training.data.samples import open_samples
from mogle_core.training.data.schedule import Schedule

SMALL = 32 * 1024
"""Bytes of a shard: a few rows of the small sets."""


def shards(root: Path, pattern: str = "*") -> list[Path]:
    return sorted((root / "cache/shards").glob(pattern))


class Asked:
    """Rows that remember which faces, masks and texts were asked for."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.faces, self.masked, self.texts = set[tuple[int, int]](), set[tuple[int, int]](), set[tuple[int, int]]()

    def face(self, item: int, mirrored: bool) -> Row:
        self.faces.add((item, int(mirrored)))
        return self.rows.face(item, mirrored)

    def masks(self, item: int, mirrored: bool) -> torch.Tensor:
        self.masked.add((item, int(mirrored)))
        return self.rows.masks(item, mirrored)

    def text(self, item: int, caption: int) -> Row:
        self.texts.add((item, caption))
        return self.rows.text(item, caption)

    def __getattr__(self, name: str) -> object:
        return getattr(self.rows, name)


def counted(settings: TrainingConfig) -> tuple[int, list[str]]:
    """How many images, and which texts, are encoded when the samples are opened."""
    encoders = Encoders(PlainVAE(), PlainText())
    open_samples(settings, encoders)
    return encoders.vae.encoded, encoders.text.encoded  # type: ignore[attr-defined]


def test_everything_is_encoded_once_and_never_again(tmp_path: Path) -> None:
    settings = config(write_set(tmp_path), loop={"steps": 30})
    pictures, texts = counted(settings)
    assert pictures > 6
    assert len(texts) == len(set(texts))
    assert "" in texts
    assert texts.count("A face.") == 1  # six pictures share it
    assert counted(settings) == (0, [])


def test_the_plan_is_what_is_encoded_and_its_bytes_are_the_files(tmp_path: Path) -> None:
    settings = config(write_set(tmp_path), data={"flip": True, "loss_weights": {"hair": 2.0}}, loop={"steps": 40})
    items, encoders = find_items(settings.data), plain_encoders()
    plan = make_plan(settings, items, encoders)
    counts, sizes = plan.counts(), plan.bytes(encoders, torch.float32)
    pictures, texts = counted(settings)
    assert (counts["faces"] + counts["masks"], counts["texts"]) == (pictures, len(texts))
    stored = dict.fromkeys(sizes, 0)
    for path in shards(tmp_path):
        with safe_open(path, "pt") as file:
            tensors = [file.get_tensor(name) for name in file.keys() if name != "keys"]  # noqa: SIM118
        stored[path.name.split("-")[0]] += sum(tensor.nbytes for tensor in tensors)
    assert stored == sizes
    assert all(stored.values())


def test_only_what_the_run_shows_is_planned(tmp_path: Path) -> None:
    """What the batches of a run without a cache ask for is what a run with one plans."""
    settings = config(
        write_set(tmp_path, 8), data={"flip": True}, loop={"steps": 2, "batch": 2}, cache={"where": "none"}
    )
    samples = open_samples(settings, plain_encoders())
    asked = Asked(samples.rows)
    samples.rows = asked
    schedule = Schedule(samples.grids, settings.loop.batch, settings.loop.seed)
    for step in range(settings.loop.steps):
        samples.batch(schedule.step(step), torch.device("cpu"))
    needs = needs_of(settings, find_items(settings.data))
    assert set(zip(*map(np.ndarray.tolist, needs.sides.nonzero()), strict=True)) == asked.faces == asked.masked
    owners = np.searchsorted(needs.offsets, needs.texts.nonzero()[0], side="right") - 1
    captions = needs.texts.nonzero()[0] - needs.offsets[owners]
    assert set(zip(owners.tolist(), captions.tolist(), strict=True)) == asked.texts
    assert 1 < len(asked.texts) <= 4


def test_held_out_pairs_are_planned_whole(tmp_path: Path) -> None:
    settings = config(
        write_set(tmp_path), data={"flip": True}, loop={"steps": 1, "batch": 1}, validation={"every": 1, "pairs": 2}
    )
    needs = needs_of(settings, find_items(settings.data))
    assert needs.sides[[1, 4]].all()
    assert needs.texts[3:6].all()
    assert needs.texts[12:15].all()


def test_a_longer_run_adds_only_its_new_samples(tmp_path: Path) -> None:
    root = write_set(tmp_path, 8)
    first = counted(config(root, loop={"steps": 1}))
    more = counted(config(root, loop={"steps": 200}))
    whole = counted(config(write_set(tmp_path / "other", 8), loop={"steps": 200}))
    assert 0 < first[0] < whole[0]
    assert first[0] + more[0] == whole[0]
    assert sorted(first[1] + more[1]) == sorted(whole[1])


@pytest.mark.parametrize(
    "change", [{"cache": {"dtype": "bf16"}}, {"data": {"resolution": 32}}, {"data": {"flip": True}}]
)
def test_other_settings_have_other_keys(change: dict[str, dict[str, object]], tmp_path: Path) -> None:
    root = write_set(tmp_path)
    counted(config(root, loop={"steps": 30}))
    assert counted(config(root, **{"loop": {"steps": 30}, **change}))[0] > 0


def test_another_encoder_or_picture_has_another_key_and_a_moved_set_the_same(tmp_path: Path) -> None:
    root = write_set(tmp_path / "a")
    settings = config(root, loop={"steps": 30})
    counted(settings)
    other = Encoders(PlainVAE(fingerprint="another"), PlainText())
    open_samples(settings, other)
    assert other.vae.encoded > 0
    assert not other.text.encoded  # type: ignore[attr-defined]
    moved = root.rename(tmp_path / "b")
    assert counted(config(moved, loop={"steps": 30})) == (0, [])
    (moved / "images/3.png").write_bytes((moved / "images/2.png").read_bytes())
    assert counted(config(moved, loop={"steps": 30}))[0] == 0  # known as picture 2's
    Image.new("RGB", (64, 64), (9, 80, 200)).save(moved / "images/3.png")
    assert counted(config(moved, loop={"steps": 30}))[0] == 1


@pytest.mark.parametrize("fails_after", [0, 5, 17, 30])
def test_an_encoder_that_fails_costs_only_its_own_batch(fails_after: int, tmp_path: Path) -> None:
    settings = config(write_set(tmp_path), loop={"steps": 30}, cache={"shard_bytes": SMALL})
    whole = counted(config(write_set(tmp_path / "other"), loop={"steps": 30}))
    failing = plain_encoders(fails_after)
    with pytest.raises(RuntimeError, match="the encoder failed"):
        open_samples(settings, failing)
    kept = sum(len(safe_open(path, "pt").get_slice("keys")[:]) for path in shards(tmp_path))
    assert kept <= fails_after
    assert kept > fails_after - 8  # a batch is 8
    assert not [path for path in shards(tmp_path) if path.suffix != ".safetensors"]
    pictures, texts = counted(settings)
    assert (pictures + kept, sorted(texts)) == (whole[0], sorted(whole[1]))


_KILLED = """
import sys, time
from pathlib import Path
from support.small_sets import PlainVAE, PlainText, config
from mogle_core.model.encoders import Encoders
from mogle_core.training.data.rows import Row, Rows
from mogle_core.training.data.samples import open_samples

class Slow(PlainVAE):
    def encode(self, pictures):
        time.sleep(0.05)
        return super().encode(pictures)

root = Path(sys.argv[1])
open_samples(config(root, loop={"steps": 200}, cache={"shard_bytes": 16384}), Encoders(Slow(), PlainText()))
"""


@pytest.mark.slow
def test_a_killed_process_leaves_whole_files_and_the_next_goes_on(tmp_path: Path) -> None:
    root = write_set(tmp_path, 30)
    paths = os.pathsep.join((str(TESTS / "shared"), str(REPOSITORY)))
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, "-c", _KILLED, str(root)], env=environment, stderr=subprocess.DEVNULL)
    try:
        while process.poll() is None and len(shards(root, "*.safetensors")) < 3:
            time.sleep(0.01)
        assert process.poll() is None, "the process ended before it could be killed"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    (root / "cache/shards/masks-0.partial").write_bytes(b"half")  # as a kill in the middle of a write leaves
    settings = config(root, loop={"steps": 200}, cache={"shard_bytes": 16384})
    store = DiskStore(settings.cache.folder, settings.cache.shard_bytes)
    before = sum(1 for path in store.verify())  # each against its checksum
    pictures, _ = counted(settings)
    whole, _ = counted(config(write_set(tmp_path / "other", 30), loop={"steps": 200}))
    assert before >= 3
    assert 0 < pictures < whole
    assert not list((root / "cache/shards").glob("*.partial"))
    assert counted(settings) == (0, [])


def test_a_damaged_file_is_named_and_deleting_it_is_enough(tmp_path: Path) -> None:
    settings = config(write_set(tmp_path), loop={"steps": 30})
    counted(settings)
    path = next(path for path in shards(tmp_path) if path.name.startswith("masks"))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    store = DiskStore(settings.cache.folder, settings.cache.shard_bytes)
    with pytest.raises(CacheError, match=f"{path.name} is damaged .its checksum is another.: delete it"):
        list(store.verify())
    path.write_bytes(content[:-9])
    with pytest.raises(CacheError, match=f"{path.name} is damaged"):
        open_samples(settings, plain_encoders())
    path.unlink()
    assert counted(settings)[0] > 0
    assert len(list(store.verify())) == len(shards(tmp_path))


@pytest.mark.parametrize("kind", ["faces", "masks", "texts", "weights"])
def test_every_flipped_bit_of_a_shard_is_noticed(kind: str, tmp_path: Path) -> None:
    """One bit in each of 100 places: an error names the file, or what is read is what was written."""
    settings = config(
        write_set(tmp_path), data={"flip": True, "loss_weights": {"hair": 2.0}}, loop={"steps": 30},
        cache={"shard_bytes": SMALL},
    )  # fmt: skip
    counted(settings)
    path = shards(tmp_path, f"{kind}*")[0]
    with safe_open(path, "pt") as file:
        keys = file.get_tensor("keys").numpy().view(np.uint64)
    rows = rows_of(settings, keys)
    assert len(rows) > 1 or kind == "weights"
    whole, read = path.read_bytes(), 0
    for number in range(100):
        damaged = bytearray(whole)
        damaged[number * len(whole) // 100] ^= 1 << number % 8
        path.write_bytes(damaged)
        try:
            found = rows_of(settings, keys)
        except CacheError as error:
            assert path.name in str(error)
            continue
        read += 1
        for before, now in zip(rows, found, strict=True):
            assert now is None or all(torch.equal(now[name], before[name]) for name in before)
    assert read < 50


def rows_of(settings: TrainingConfig, keys: np.ndarray) -> list[Row | None]:
    """What a store that is opened anew has under these keys."""
    store = DiskStore(settings.cache.folder, settings.cache.shard_bytes)
    return [store.read(int(place)) if place >= 0 else None for place in store.finder()(keys)]


def test_shards_from_before_rows_had_digests_are_read(tmp_path: Path) -> None:
    settings = config(write_set(tmp_path), loop={"steps": 30})
    counted(settings)
    for path in shards(tmp_path):
        with safe_open(path, "pt") as file:
            notes = {"checksum": file.metadata()["checksum"]}
        save_file(load_file(path), path, notes)
    assert counted(settings) == (0, [])
    store = DiskStore(settings.cache.folder, settings.cache.shard_bytes)
    assert len(list(store.verify())) == len(shards(tmp_path))


def test_a_damaged_plan_is_made_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = config(write_set(tmp_path), loop={"steps": 30})
    counted(settings)
    (path,) = (tmp_path / "cache/plans").iterdir()
    damaged = bytearray(path.read_bytes())
    damaged[-5] ^= 1
    path.write_bytes(damaged)
    assert counted(settings) == (0, [])
    assert f"{path.name} is damaged" in caplog.text
    Plan.load(path)


def test_two_processes_do_not_fill_one_cache(tmp_path: Path) -> None:
    settings = config(write_set(tmp_path))
    with sole_writer(settings.cache.folder), pytest.raises(CacheError, match="Another process is filling"):
        open_samples(settings, plain_encoders())
    open_samples(settings, plain_encoders())


def test_a_disk_that_would_become_full_is_reported_beforehand(tmp_path: Path) -> None:
    check_space(tmp_path, 1)
    with pytest.raises(CacheError, match=r"set cache\.folder to another disk"):
        check_space(tmp_path, 2**60)


@pytest.mark.parametrize("where", ["disk", "memory"])
def test_a_store_gives_back_what_it_was_given(where: str, tmp_path: Path) -> None:
    store = open_store(config(tmp_path, cache={"where": where, "shard_bytes": 1024}))
    rows = {key("thing", number): {"mean": torch.randn(3, number % 2 + 1, 40)} for number in range(9)}
    for name, row in rows.items():
        store.add("faces", name, row)
    store.flush()
    places = store.finder()(stacked([*rows, key("thing", "other")]))
    assert places[-1] == -1
    assert (places[:-1] >= 0).all()
    assert len(set(places.tolist())) == 10
    for place, row in zip(places, rows.values(), strict=False):
        assert torch.equal(store.read(int(place))["mean"], row["mean"])


def test_a_plan_is_read_back_equal(tmp_path: Path) -> None:
    settings = config(write_set(tmp_path))
    plan = make_plan(settings, find_items(settings.data), plain_encoders())
    plan.save(tmp_path / "plan.safetensors")
    again = Plan.load(tmp_path / "plan.safetensors")
    for name, part in vars(plan).items():
        assert np.array_equal(getattr(again, name), part)
        assert getattr(again, name).dtype == part.dtype


def test_where_memory_is_short_batches_are_halved() -> None:
    sizes = []

    def encode(batch: list[str]) -> list[dict[str, torch.Tensor]]:
        sizes.append(len(batch))
        if len(batch) > 2:
            raise torch.OutOfMemoryError
        return [{"length": torch.tensor(len(text))} for text in batch]

    rows = in_halves(encode, ["a" * n for n in range(8)])
    assert [int(row["length"]) for row in rows] == list(range(8))
    assert sizes == [8, 4, 2, 2, 4, 2, 2]


def test_memory_needs_no_folder(tmp_path: Path) -> None:
    settings = config(write_set(tmp_path), cache={"where": "memory"})
    store = MemoryStore()
    items, encoders = find_items(settings.data), plain_encoders()
    plan = make_plan(settings, items, encoders)
    fill(plan.missing(store), items, encoders, store, settings.data, torch.float32)
    assert not any(plan.missing(store).counts().values())
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("folder", ["masks", "images"])
def test_a_file_repainted_in_the_same_size_and_time_is_encoded_again(folder: str, tmp_path: Path) -> None:
    root = write_set(tmp_path, 3)
    for path in [*(root / "masks").iterdir(), *(root / "images").iterdir()]:
        with Image.open(path) as image:
            image.convert("RGB").save(path.with_suffix(".bmp"))
        path.unlink()
    settings = config(root, loop={"steps": 30})
    assert counted(settings)[0] > 0
    assert counted(settings) == (0, [])
    path = root / folder / "1.bmp"
    before, content = path.stat(), bytearray(path.read_bytes())
    with Image.open(path) as image:
        pixels = image.copy()
    pixels.paste((204, 0, 0), (2, 2, 40, 9))  # skin where hair was
    pixels.save(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert path.read_bytes() != content
    assert counted(settings)[0] > 0
    assert counted(settings) == (0, [])
