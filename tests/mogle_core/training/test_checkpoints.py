"""Checkpoint files are whole or absent; the newest readable one is used; the others get an error message."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.full_disk import room_for

from mogle_core.support.whole_files import DiskFullError
from mogle_core.training import checkpoints
from mogle_core.training.checkpoints import CheckpointError, State


def state(step: int) -> State:
    vector = {"lora": torch.full((3,), float(step))}
    return State(step, vector, {}, {"state": {}, "param_groups": []}, 0, "", "data", {"torch": "2"})


def test_what_is_written_is_read(tmp_path: Path) -> None:
    found = checkpoints.read(checkpoints.write(tmp_path, state(7), keep=3))
    assert (found.step, found.fingerprint) == (7, "data")
    assert torch.equal(found.trained["lora"], torch.full((3,), 7.0))


def test_the_oldest_are_deleted(tmp_path: Path) -> None:
    for step in range(1, 6):
        checkpoints.write(tmp_path, state(step), keep=2)
    assert [path.name for path in checkpoints.steps_of(tmp_path)] == ["step_00000004.pt", "step_00000005.pt"]


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    checkpoints.write(tmp_path, state(1), keep=1)
    with room_for(1000), pytest.raises(DiskFullError):
        checkpoints.write(tmp_path, state(2), keep=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["newest.json", "step_00000001.pt"]
    found = checkpoints.newest(tmp_path)
    assert found is not None
    assert found.step == 1


def test_the_newest_that_can_be_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for step in (1, 2):
        checkpoints.write(tmp_path, state(step), keep=3)
    cut = tmp_path / "step_00000002.pt"
    cut.write_bytes(cut.read_bytes()[:-100])
    (tmp_path / "step_00000003.pt.partial").write_bytes(b"half")
    found = checkpoints.newest(tmp_path)
    assert found is not None
    assert found.step == 1
    assert "step_00000002.pt is cut" in caplog.text
    assert not list(tmp_path.glob("*.partial"))
    assert checkpoints.newest(tmp_path / "empty") is None


def test_sentences(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no checkpoint .*gone\.pt"):
        checkpoints.read(tmp_path / "gone.pt")
    torch.save({"weights": torch.zeros(2)}, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match=r"set model\.init instead"):
        checkpoints.read(tmp_path / "other.pt")


def follow(folder: Path, step: int, parent: State | None, keep: int = 9) -> State:
    """Write the checkpoint after `parent`, and read it back."""
    return checkpoints.read(
        checkpoints.write(folder, replace(state(step), parent=parent.digest if parent else ""), keep)
    )


def names(folder: Path) -> list[str]:
    return [str(int(path.stem[5:])) for path in checkpoints.steps_of(folder)]


def newest_step(folder: Path) -> int:
    found = checkpoints.newest(folder)
    assert found is not None
    return found.step


def test_each_names_its_parent(tmp_path: Path) -> None:
    one = follow(tmp_path, 1, None)
    two = follow(tmp_path, 2, one)
    assert (one.parent, two.parent) == ("", one.digest)
    assert len({one.digest, two.digest}) == 2


def test_going_on_from_an_older_one_sets_the_newer_ones_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    two = follow(tmp_path, 2, None)
    six = follow(tmp_path, 6, follow(tmp_path, 4, two))
    again = follow(tmp_path, 3, two, keep=2)
    assert names(tmp_path) == ["2", "3"]
    assert newest_step(tmp_path) == 3
    assert names(tmp_path / "set_aside_1") == ["4", "6"]
    assert "step_00000004.pt, step_00000006.pt: this run goes on from an earlier step" in caplog.text
    assert checkpoints.read(tmp_path / "set_aside_1/step_00000006.pt").digest == six.digest
    follow(tmp_path, 4, again, keep=2)
    assert names(tmp_path) == ["3", "4"]
    assert newest_step(tmp_path) == 4


def test_what_was_just_written_is_never_rotated_away(tmp_path: Path) -> None:
    one = follow(tmp_path, 1, None)
    for step in (8, 9):
        follow(tmp_path, step, one, keep=1)
        assert newest_step(tmp_path) == step
        one = checkpoints.newest(tmp_path)


def test_two_branches_may_have_the_same_step(tmp_path: Path) -> None:
    one = follow(tmp_path, 1, None)
    first = follow(tmp_path, 2, one)
    second = follow(tmp_path, 2, replace(one, step=1))
    assert names(tmp_path / "set_aside_1") == ["2"]
    assert checkpoints.read(tmp_path / "set_aside_1/step_00000002.pt").digest == first.digest
    assert checkpoints.newest(tmp_path).digest == second.digest


def test_a_branch_that_was_set_aside_can_be_gone_on_from(tmp_path: Path) -> None:
    one = follow(tmp_path, 1, None)
    follow(tmp_path, 2, one)
    follow(tmp_path, 3, one)
    left = checkpoints.read(tmp_path / "set_aside_1/step_00000002.pt")
    follow(tmp_path, 4, left)
    assert names(tmp_path) == ["4"]
    assert newest_step(tmp_path) == 4
    assert names(tmp_path / "set_aside_2") == ["1", "3"]


def test_times_of_files_mean_nothing(tmp_path: Path) -> None:
    one = follow(tmp_path, 1, None)
    follow(tmp_path, 2, one)
    os.utime(tmp_path / "step_00000001.pt", (2e9, 2e9))
    assert newest_step(tmp_path) == 2


def test_a_kill_before_the_pointer_was_written_loses_nothing(tmp_path: Path) -> None:
    one = follow(tmp_path, 1, None)
    pointer = (tmp_path / "newest.json").read_bytes()
    follow(tmp_path, 2, one)
    (tmp_path / "newest.json").write_bytes(pointer)
    assert newest_step(tmp_path) == 2


@pytest.mark.parametrize("pointer", [b"", b"{", b"[]", b'{"file": "step_00000009.pt", "sha256": ""}', None])
def test_without_a_pointer_the_last_step_counts(pointer: bytes | None, tmp_path: Path) -> None:
    follow(tmp_path, 2, follow(tmp_path, 1, None))
    if pointer is None:
        (tmp_path / "newest.json").unlink()
    else:
        (tmp_path / "newest.json").write_bytes(pointer)
    assert newest_step(tmp_path) == 2


def before(folder: Path, step: int) -> Path:
    """A file as it was written before checkpoints had digests and parents."""
    path = folder / f"step_{step:08d}.pt"
    content = vars(state(step))
    torch.save({name: content[name] for name in content if name not in ("trains", "parent", "digest")}, path)
    return path


def test_checkpoints_from_before_load_and_are_followed(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        before(tmp_path, step)
    assert newest_step(tmp_path) == 3
    four = follow(tmp_path, 4, checkpoints.newest(tmp_path))
    assert names(tmp_path) == ["1", "2", "3", "4"]
    assert newest_step(tmp_path) == 4
    follow(tmp_path, 3, checkpoints.read(tmp_path / "step_00000002.pt"))
    assert names(tmp_path) == ["1", "2", "3"]
    assert names(tmp_path / "set_aside_1") == ["3", "4"]
    assert checkpoints.newest(tmp_path).digest != four.digest


def test_every_flipped_bit_is_noticed(tmp_path: Path) -> None:
    """One bit in each of 300 places spread over the file."""
    follow(tmp_path, 1, None)
    path = tmp_path / "step_00000001.pt"
    whole = path.read_bytes()
    unnoticed = []
    for number in range(300):
        place = number * len(whole) // 300
        damaged = bytearray(whole)
        damaged[place] ^= 1 << number % 8
        path.write_bytes(damaged)
        try:
            checkpoints.read(path)
            unnoticed.append(place)
        except CheckpointError:
            continue
    assert unnoticed == []


@pytest.mark.parametrize("left", [0, 1, 21, 100, 1000, -1, -64, -65, -150])
def test_a_cut_file_is_a_sentence(left: int, tmp_path: Path) -> None:
    follow(tmp_path, 1, None)
    path = tmp_path / "step_00000001.pt"
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(CheckpointError, match="is cut or"):
        checkpoints.read(path)


def test_a_damaged_one_gives_way_to_the_one_before(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    follow(tmp_path, 2, follow(tmp_path, 1, None))
    path = tmp_path / "step_00000002.pt"
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 3] ^= 4
    path.write_bytes(damaged)
    assert newest_step(tmp_path) == 1
    assert "step_00000002.pt is damaged" in caplog.text


def test_on_a_full_disk_older_ones_make_room_and_the_last_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A disk for two checkpoints: the third can be written when the first is gone."""
    write = checkpoints.write_checkpoint

    def small(path: Path, content: State) -> str:
        if len(checkpoints.steps_of(path.parent)) >= 2:
            raise DiskFullError(path)
        return write(path, content)

    monkeypatch.setattr(checkpoints, "write_checkpoint", small)
    last = None
    for step in range(1, 6):
        last = follow(tmp_path, step, last)
    assert names(tmp_path) == ["4", "5"]
    assert "step_00000003.pt is removed to make room" in caplog.text


def test_a_disk_for_one_checkpoint_keeps_it(tmp_path: Path) -> None:
    one = follow(tmp_path, 1, None)
    with room_for(1000), pytest.raises(DiskFullError):
        follow(tmp_path, 2, one)
    assert names(tmp_path) == ["1"]
    assert newest_step(tmp_path) == 1
