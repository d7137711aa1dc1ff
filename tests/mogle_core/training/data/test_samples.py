"""Batches are the same from disk, from memory and encoded on the fly; randomness belongs to the sample's number."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.small_sets import PlainVAE, config, label_map, picture, plain_encoders, write_set
from torch import Tensor

from mogle_core.dataset import DatasetError
from mogle_core.masks.decouple import Decoupled, flip
from mogle_core.masks.labels import FLIPPED
from mogle_core.model.flux_latents import pack
from mogle_core.toy.drawer.folder import write_folder
from mogle_core.toy.world import load_world
from mogle_core.training.config.reading import TrainingConfig
from mogle_core.training.data.draws import DropRates, draw_samples
from mogle_core.training.data.items import BY_CONTENT, find_items, split_items
from mogle_core.training.data.samples import EncodedSamples, open_samples
from mogle_core.training.data.schedule import Pick, Schedule, choose
from mogle_core.training.step import Batch, dropped, step_loss

CPU = torch.device("cpu")


def opened(settings: TrainingConfig) -> EncodedSamples:
    return open_samples(settings, plain_encoders())


def parts(batch: Batch) -> list[Tensor]:
    found = [batch.x0, batch.masks, batch.context, batch.pooled]
    return found if batch.loss_weights is None else [*found, batch.loss_weights]


@pytest.mark.parametrize("dtype", ["float32", "bf16"])
def test_where_the_cache_is_changes_nothing(dtype: str, tmp_path: Path) -> None:
    root = write_set(tmp_path, 6, sizes=((64, 64), (64, 96)))
    shared = {"resolution": [64, 96], "flip": True, "buckets": True, "loss_weights": {"hair": 3.0, "l_eye": 2.0}}
    each = {
        where: opened(config(root, data=shared, cache={"where": where, "dtype": dtype}))
        for where in ("disk", "memory", "none")
    }
    disk = each["disk"]
    assert len(disk.grids) == 12
    assert len(set(disk.grids)) > 2
    schedule = Schedule(disk.grids, 3, 5)
    for step in (0, 1, 7, 30):
        picks = schedule.step(step)
        batch = disk.batch(picks, CPU)
        for where in ("memory", "none"):
            assert each[where].fingerprint == disk.fingerprint
            for ours, theirs in zip(parts(batch), parts(each[where].batch(picks, CPU)), strict=True):
                torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
            for ours, theirs in zip(
                vars(disk.blanks(batch.grid, CPU)).values(),
                vars(each[where].blanks(batch.grid, CPU)).values(),
                strict=True,
            ):
                torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("weights", [None, {"hair": 3.0}])
def test_losses_are_the_same_cached_or_not(weights: dict[str, float] | None, tmp_path: Path) -> None:
    """With the real step on the toy's transformer and its encoders, and means instead of samples."""
    world = load_world()
    write_folder(tmp_path / "faces", 5, 64)
    schedule, losses = Schedule([(4, 4)] * 5, 3, 5), {}
    for where in ("disk", "memory", "none"):
        data = {"latents": "mean", "flip": True, "loss_weights": weights}
        settings = config(tmp_path / "faces", data=data, cache={"where": where, "folder": tmp_path / "cache"})
        samples = open_samples(settings)
        for step in range(3):
            picks = schedule.step(step)
            batch, blanks = samples.batch(picks, CPU), samples.blanks((4, 4), CPU)
            draws = draw_samples(5, "train", [pick.sample for pick in picks], 16)
            with torch.no_grad():
                loss = step_loss(world.flux, world.network, world.lora, batch, draws, blanks)
            losses[where, step] = float(loss)
    for step in range(3):
        assert losses["disk", step] == pytest.approx(losses["none", step], abs=1e-5, rel=1e-5)
        assert losses["memory", step] == pytest.approx(losses["none", step], abs=1e-5, rel=1e-5)
    assert len({round(loss, 4) for loss in losses.values()}) == 3  # the steps themselves differ


def test_a_batch_is_what_the_encoders_say_of_picture_masks_and_caption(tmp_path: Path) -> None:
    settings = config(write_set(tmp_path), data={"latents": "mean"})
    samples, encoders = opened(settings), plain_encoders()
    batch = samples.batch([Pick(4, 11)], CPU)
    face = encoders.vae.encode(torch.from_numpy(picture(4))[None] / 255).mean
    ids = torch.from_numpy(label_map(4))[None]
    masks = encoders.vae.encode(Decoupled(ids).mask_images(0)).mean
    caption = find_items(settings.data)[4].pair.captions[choose(settings.data, 5, 11, 3).caption]
    context, pooled = encoders.text.encode([caption])
    assert batch.grid == (4, 4)
    assert batch.loss_weights is None
    for ours, theirs in zip(parts(batch), (pack(face), pack(masks)[None], context, pooled), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_a_mirrored_sample_has_mirrored_picture_and_exchanged_sides(tmp_path: Path) -> None:
    settings = config(write_set(tmp_path), data={"latents": "mean", "flip": True})
    samples, vae = opened(settings), PlainVAE()
    shown = {choose(settings.data, 5, number, 3).mirrored: number for number in range(20)}
    batch = samples.batch([Pick(2, shown[True])], CPU)
    ids = torch.from_numpy(np.array(FLIPPED, dtype=np.uint8)[label_map(2)[:, ::-1]].copy())[None]
    assert torch.equal(ids, flip(torch.from_numpy(label_map(2))[None]))
    torch.testing.assert_close(batch.masks[0], pack(vae.encode(Decoupled(ids).mask_images(0)).mean))
    face = torch.from_numpy(picture(2)[:, ::-1].copy())[None] / 255
    torch.testing.assert_close(batch.x0, pack(vae.encode(face).mean))
    straight = samples.batch([Pick(2, shown[False])], CPU)
    assert not torch.allclose(straight.x0, batch.x0)


def test_latents_are_drawn_from_the_distribution_by_the_samples_number(tmp_path: Path) -> None:
    root = write_set(tmp_path)
    sampled, mean = opened(config(root)), opened(config(root, data={"latents": "mean"}))
    first, again, other = (sampled.batch([Pick(0, number)], CPU).x0 for number in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    centre = mean.batch([Pick(0, 3)], CPU).x0
    many = torch.cat([sampled.batch([Pick(0, number)], CPU).x0 for number in range(400)])
    assert float((many.mean(0) - centre[0]).abs().mean()) < 0.05
    assert torch.equal(mean.batch([Pick(0, 9)], CPU).x0, centre)


def test_a_sample_does_not_depend_on_its_batch(tmp_path: Path) -> None:
    samples = opened(config(write_set(tmp_path), data={"flip": True}))
    picks = [Pick(3, 40), Pick(1, 41), Pick(3, 42)]
    whole = samples.batch(picks, CPU)
    for number, pick in enumerate(picks):
        for together, alone in zip(parts(whole), parts(samples.batch([pick], CPU)), strict=True):
            assert torch.equal(together[number], alone[0])


def test_a_dropped_mask_is_an_absent_classes_constant_to_the_bit(tmp_path: Path) -> None:
    """Black is one entry in the cache. A dropped mask and an absent class have the same numbers."""
    samples = opened(config(write_set(tmp_path), cache={"dtype": "bf16"}))
    picks = [Pick(0, 0), Pick(1, 1)]
    batch, blanks = samples.batch(picks, CPU), samples.blanks((4, 4), CPU)
    hat = 1 + 14
    assert torch.equal(batch.masks[0, hat], blanks.black)
    assert torch.equal(batch.masks[1, hat], blanks.black)
    skin = 1 + 1
    assert not torch.equal(batch.masks[0, skin], blanks.black)
    draws = draw_samples(0, "train", [0, 1], 16, DropRates(text=1.0, local_mask=1.0))
    bare = dropped(batch, draws, blanks)
    assert torch.equal(bare.masks[:, 1:], blanks.black.expand(2, 19, -1, -1))
    assert torch.equal(bare.masks[:, 0], batch.masks[:, 0])
    assert torch.equal(bare.context, blanks.context.expand_as(bare.context))


def test_blanks_are_on_the_device_that_asks(tmp_path: Path) -> None:
    samples = opened(config(write_set(tmp_path)))
    grid = samples.grids[0]
    devices = [torch.device(name) for name in ("cpu", "meta", "cpu")]
    assert [samples.blanks(grid, device).context.device for device in devices] == devices


def test_loss_weights_are_the_mean_of_a_tokens_pixels(tmp_path: Path) -> None:
    samples = opened(config(write_set(tmp_path), data={"loss_weights": {"hair": 3.0}}))
    weights = samples.batch([Pick(0, 0)], CPU).loss_weights
    assert weights is not None
    assert weights.shape == (1, 16)
    # Hair is the uppermost 12 of 64 rows: three quarters of the first row of tokens.
    torch.testing.assert_close(weights.view(4, 4)[0], torch.full((4,), 0.75 * 3 + 0.25))
    assert torch.equal(weights.view(4, 4)[1:], torch.ones(3, 4))


def test_held_out_pairs_are_spread_and_never_trained_on(tmp_path: Path) -> None:
    settings = config(write_set(tmp_path, 6), validation={"every": 5, "pairs": 2})
    training, held = split_items(6, settings.validation)
    assert sorted(training + held) == list(range(6))
    assert held == [1, 4]
    samples = opened(settings)
    assert (samples.training, samples.held_out) == (training, held)
    with pytest.raises(DatasetError, match=r"validation\.pairs holds 2 of them out"):
        split_items(2, settings.validation)


def test_pairs_without_captions_are_trained_with_the_empty_prompt(tmp_path: Path) -> None:
    root = write_set(tmp_path)
    (root / "captions.json").write_text("{}")
    samples = opened(config(root))
    batch, blanks = samples.batch([Pick(0, 0)], CPU), samples.blanks((4, 4), CPU)
    assert torch.equal(batch.context[0], blanks.context)
    assert torch.equal(batch.pooled[0], blanks.pooled)


def test_captions_are_picked_evenly_or_always_the_first(tmp_path: Path) -> None:
    settings = config(tmp_path)
    picked = [choose(settings.data, 0, number, 4).caption for number in range(2000)]
    counts = np.bincount(picked, minlength=4)
    assert counts.min() > 430
    first = config(tmp_path, data={"pick": "first"})
    assert {choose(first.data, 0, number, 4).caption for number in range(50)} == {0}


def test_the_fingerprint_depends_on_the_data_and_not_on_its_place(tmp_path: Path) -> None:
    here, there = write_set(tmp_path / "a"), write_set(tmp_path / "b")
    none = {"where": "none"}
    first = opened(config(here, cache=none)).fingerprint
    assert opened(config(there, cache=none)).fingerprint == first
    assert opened(config(here, cache=none, data={"flip": True})).fingerprint != first
    (there / "captions.json").write_text('{"0": "another"}')
    assert opened(config(there, cache=none)).fingerprint != first


def test_items_are_every_pair_at_every_resolution(tmp_path: Path) -> None:
    items = find_items(config(write_set(tmp_path, 3), data={"resolution": [32, 64]}).data)
    assert [(item.pair.name, item.frame.grid) for item in items] == [
        *((str(n), (2, 2)) for n in range(3)),
        *((str(n), (4, 4)) for n in range(3)),
    ]


@pytest.mark.parametrize("folder", ["masks", "images"])
def test_a_file_repainted_in_the_same_size_and_time_is_noticed(folder: str, tmp_path: Path) -> None:
    root = write_set(tmp_path / "a", 3)
    for path in [*(root / "masks").iterdir(), *(root / "images").iterdir()]:
        with Image.open(path) as image:
            image.convert("RGB").save(path.with_suffix(".bmp"))
        path.unlink()
    before = opened(config(root, cache={"where": "none"})).fingerprint
    path = root / folder / "1.bmp"
    stat = path.stat()
    content = bytearray(path.read_bytes())
    content[-600:] = content[-1200:-600]
    content[-3:] = bytes(3) if bytes(content[-3:]) != bytes(3) else bytes((0, 0, 204))
    path.write_bytes(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert path.stat().st_size == stat.st_size
    assert opened(config(root, cache={"where": "none"})).fingerprint != before


@pytest.mark.parametrize("ending", ["png", "tiff", "webp"])
def test_a_mask_with_one_other_pixel_is_noticed(ending: str, tmp_path: Path) -> None:
    root = write_set(tmp_path / "a", 3)
    for path in (root / "masks").iterdir():
        with Image.open(path) as image:
            image.convert("RGB").save(path.with_suffix(f".{ending}"), lossless=True)
        if ending != "png":
            path.unlink()
    before = opened(config(root, cache={"where": "none"})).fingerprint
    path = root / f"masks/1.{ending}"
    stat = path.stat()
    with Image.open(path) as image:
        changed = image.convert("RGB")
    changed.putpixel((3, 3), (0, 0, 204) if changed.getpixel((3, 3)) != (0, 0, 204) else (204, 0, 0))
    changed.save(path, lossless=True)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert opened(config(root, cache={"where": "none"})).fingerprint != before


def test_a_caption_of_the_same_length_is_noticed(tmp_path: Path) -> None:
    root = write_set(tmp_path / "a", 3)
    before = opened(config(root, cache={"where": "none"})).fingerprint
    path = root / "captions.json"
    path.write_text(path.read_text().swapcase())
    assert opened(config(root, cache={"where": "none"})).fingerprint != before


def test_checkpoints_with_the_former_fingerprint_are_accepted(tmp_path: Path) -> None:
    samples = opened(config(write_set(tmp_path, 3), cache={"where": "none"}))
    assert samples.fingerprint.startswith(BY_CONTENT)
    assert not samples.former_fingerprint.startswith(BY_CONTENT)
    assert samples.former_fingerprint.split()[1:] == samples.fingerprint.split()[1:]
