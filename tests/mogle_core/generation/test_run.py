"""A run: resuming, failures, full disks, and the manifest's entry for each."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
import torch
from PIL import Image
from support.painter_backend import Painter

from mogle_core.generation import run
from mogle_core.generation.backend import BackendError, Made, Order
from mogle_core.generation.cluster import ClusterBackend
from mogle_core.generation.jobs import Job, read_jobs
from mogle_core.generation.manifest import Outcome, outcomes
from mogle_core.generation.official import as_official, noises
from mogle_core.generation.run import Output, generate
from mogle_core.generation.settings import Settings


def pictures(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}


def statuses(output: Output) -> dict[str, str]:
    return {outcome.name: outcome.status for outcome in outcomes(output.manifest)}


def test_batches_shards_and_order_make_the_same_files(masks: Path, tmp_path: Path, small: Settings) -> None:
    jobs = read_jobs(masks)
    list(generate(jobs, small, Painter(batch=4), Output(tmp_path / "whole")))
    for index in (1, 0):
        list(generate(jobs, small, Painter(batch=1), Output(tmp_path / "parts", shard=(index, 2))))
    assert pictures(tmp_path / "whole") == pictures(tmp_path / "parts")
    assert len(pictures(tmp_path / "whole")) == 10
    assert {path.name for path in (tmp_path / "parts").glob("*.jsonl")} == {
        "manifest-0-of-2.jsonl",
        "manifest-1-of-2.jsonl",
    }


def test_existing_pictures_stay(masks: Path, tmp_path: Path, small: Settings) -> None:
    jobs, output = read_jobs(masks), Output(tmp_path / "out")
    list(generate(jobs[:4], small, Painter(), output))
    before = pictures(output.folder)
    painter = Painter()
    found = list(generate(jobs, small, painter, output))
    assert painter.made == [job.name for job in jobs[4:]]
    assert [outcome.status for outcome in found] == ["kept"] * 4 + ["made"] * 6
    assert before.items() <= pictures(output.folder).items()
    assert painter.closed
    assert len(list(outcomes(output.manifest))) == 10


@pytest.mark.parametrize("name", ["a" * 300, "\u00e4" * 130, f"folder/{'b' * 300}", f"{'c' * 201}/d"])
def test_a_name_that_is_too_long_fails_its_job_alone(name: str, masks: Path, tmp_path: Path, small: Settings) -> None:
    jobs, output = read_jobs(masks)[:3], Output(tmp_path / "out")
    list(generate([jobs[0], replace(jobs[1], name=name), jobs[2]], small, Painter(), output))
    found = {outcome.name: outcome for outcome in outcomes(output.manifest)}
    assert [found[job].status for job in (jobs[0].name, name, jobs[2].name)] == ["made", "failed", "made"]
    assert "200 bytes" in str(found[name])


def test_pictures_of_other_settings_are_not_overwritten_unasked(masks: Path, tmp_path: Path, small: Settings) -> None:
    jobs, output = read_jobs(masks), Output(tmp_path / "out")
    list(generate(jobs, small, Painter(), output))
    before = pictures(output.folder)
    other = replace(small, steps=2)
    with pytest.raises(ValueError, match="has 10 pictures of these names with other settings.*--replace"):
        list(generate(jobs, other, Painter(), output))
    assert pictures(output.folder) == before
    painter = Painter()
    list(generate(jobs, other, painter, replace(output, replace=True)))
    assert len(painter.made) == 10


def test_a_repainted_mask_another_prompt_and_other_weights_are_other_pictures(
    masks: Path, tmp_path: Path, small: Settings
) -> None:
    jobs, output = read_jobs(masks), Output(tmp_path / "out", replace=True)
    list(generate(jobs, small, Painter(), output))
    (masks / "3.png").write_bytes((masks / "7.png").read_bytes())
    jobs[5] = replace(jobs[5], prompt="Another.")
    painter = Painter()
    list(generate(jobs, small, painter, output))
    assert painter.made == ["3", "5"]
    painter = Painter()
    painter.facts = {"painter": 2}
    list(generate(jobs, small, painter, output))
    assert len(painter.made) == 10


def test_a_damaged_picture_is_made_anew(masks: Path, tmp_path: Path, small: Settings) -> None:
    jobs, output = read_jobs(masks), Output(tmp_path / "out")
    list(generate(jobs, small, Painter(), output))
    whole = pictures(output.folder)
    (output.folder / "2.png").write_bytes(whole["2.png"][:-40])
    with pytest.raises(ValueError, match=r"1 picture of these names .* or damaged \(first: 2\)"):
        list(generate(jobs, small, Painter(), output))
    list(generate(jobs, small, Painter(), replace(output, replace=True)))
    assert pictures(output.folder) == whole


def test_a_failure_is_recorded_and_the_rest_continues(masks: Path, tmp_path: Path, small: Settings) -> None:
    jobs, output = read_jobs(masks), Output(tmp_path / "out")
    (masks / "4.png").write_bytes((masks / "4.png").read_bytes()[:60])
    (masks / "8.png").unlink()
    list(generate(jobs, small, Painter(broken=["1"]), output))
    found = {outcome.name: outcome for outcome in outcomes(output.manifest)}
    assert {name for name, outcome in found.items() if outcome.status == "failed"} == {"1", "4", "8"}
    assert found["1"].error == "the brush broke"
    assert "cannot be read" in (found["4"].error or "")
    assert "8.png" in (found["8"].error or "")
    list(generate([jobs[1]], small, Painter(), output))
    assert statuses(output)["1"] == "made", "the last outcome counts"


def test_strict_stops_at_the_first(masks: Path, tmp_path: Path, small: Settings) -> None:
    jobs, output = read_jobs(masks), Output(tmp_path / "out", strict=True)
    painter = Painter(batch=1, broken=["3"])
    with pytest.raises(ValueError, match="3: the brush broke"):
        list(generate(jobs, small, painter, output))
    assert painter.made == ["0", "1", "2", "3"]
    assert painter.closed
    assert statuses(output) == {"0": "made", "1": "made", "2": "made", "3": "failed"}


def test_a_full_disk(masks: Path, tmp_path: Path, small: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the third image on, writing fails. No partial file is left, and a second run makes the rest."""
    real, written = run.write_picture, []

    def write(picture, path, *notes) -> None:
        written.append(path)
        if len(written) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(picture, path, *notes)

    monkeypatch.setattr(run, "write_picture", write)
    jobs, output = read_jobs(masks), Output(tmp_path / "out")
    found = list(generate(jobs, small, Painter(), output))
    assert [outcome.status for outcome in found] == ["made"] * 2 + ["failed"] * 8
    assert "is full: make room and start again" in (found[-1].error or "")
    monkeypatch.setattr(run, "write_picture", real)
    assert [o.status for o in generate(jobs, small, Painter(), output)] == ["kept"] * 2 + ["made"] * 8


def test_when_nothing_more_can_be_made_the_rest_has_failed(masks: Path, tmp_path: Path, small: Settings) -> None:
    class Silent(Painter):
        def make(self, orders, settings):
            for picture in super().make(orders, settings):
                if len(self.made) > 5:
                    raise BackendError("None of the servers answers any more.")
                yield picture

    jobs, output = read_jobs(masks), Output(tmp_path / "out")
    with pytest.raises(BackendError, match="None of the servers"):
        list(generate(jobs, small, Silent(), output))
    assert list(statuses(output).values()) == ["made"] * 5 + ["failed"] * 5


def test_a_manifest_cut_inside_a_letter_costs_its_last_record_alone(
    masks: Path, tmp_path: Path, small: Settings
) -> None:
    jobs = [replace(job, prompt="Zoë 李雷") for job in read_jobs(masks)]
    output = Output(tmp_path / "out")
    list(generate(jobs[:3], small, Painter(), output))
    content = output.manifest.read_bytes()
    cut = content.rindex("雷".encode()) + 1
    output.manifest.write_bytes(content[:cut])
    assert [outcome.name for outcome in outcomes(output.manifest)] == ["0", "1"]
    list(generate(jobs, small, Painter(), output))
    assert {outcome.name for outcome in outcomes(output.manifest)} == {str(number) for number in range(10)}


def test_a_truncated_manifest_line_is_ignored(masks: Path, tmp_path: Path, small: Settings) -> None:
    jobs, output = read_jobs(masks), Output(tmp_path / "out")
    list(generate(jobs[:2], small, Painter(), output))
    with output.manifest.open("a") as file:
        file.write('{"name": "2", "status": "ma')
    assert [outcome.name for outcome in outcomes(output.manifest)] == ["0", "1"]
    list(generate(jobs, small, Painter(), output))
    assert len(pictures(output.folder)) == 10


def test_official_noise_depends_on_a_jobs_position_only(masks: Path, tmp_path: Path, small: Settings) -> None:
    class Noting(Painter):
        def make(self, orders, settings):
            orders = list(orders)
            noise.update({order.job.name: order.noise for order in orders})
            return super().make(orders, settings)

    noise: dict[str, torch.Tensor] = {}
    jobs, official = read_jobs(masks), as_official(small)
    list(generate(jobs, official, Noting(), Output(tmp_path / "out", shard=(1, 3))))
    list(generate(jobs, official, Noting(), Output(tmp_path / "out", shard=(0, 1))))
    expected = list(islice(noises(official), 10))
    assert noise.keys() == {str(number) for number in range(10)}
    assert all(torch.equal(noise[str(number)], expected[number]) for number in range(10))


def test_names_may_have_folders(tmp_path: Path, small: Settings) -> None:
    output = Output(tmp_path / "out", format="jpeg")
    (outcome,) = generate([Job("a/b", "A face.", 3)], small, Painter(), output)
    assert outcome == Outcome("a/b", "made", "A face.", 3, None, "a/b.jpg", outcome.digest, None)
    assert Image.open(output.folder / "a/b.jpg").size == (32, 32)


def test_every_text_is_announced_before_the_first_picture(masks: Path, tmp_path: Path, small: Settings) -> None:
    painter = Painter()
    next(iter(generate(read_jobs(masks, "A face."), small, painter, Output(tmp_path / "out"))))
    assert painter.prompts == ["A face."] * 10


class InTurn:
    """A backend that notes the order in which jobs arrive."""

    facts: dict[str, str] = {}

    def __init__(self, longest_first: bool) -> None:
        self.longest_first, self.names = longest_first, list[str]()

    def prepare(self, prompts: object) -> None: ...

    def make(self, orders: Iterable[Order], settings: Settings) -> Iterator[tuple[Order, Made]]:
        for order in orders:
            self.names.append(order.job.name)
            yield order, torch.zeros(32, 32, 3, dtype=torch.uint8)

    def prompt(self, order: Order, settings: Settings) -> None: ...

    def close(self) -> None: ...


def test_a_cluster_gets_the_jobs_with_masks_first(masks: Path, tmp_path: Path, small: Settings) -> None:
    mask = next(masks.rglob("*.png"))
    jobs = [Job("a", "A face.", 0), Job("b", "A face.", 1, mask), Job("c", "A face.", 2), Job("d", "A face.", 3, mask)]
    for longest_first, expected in ((False, "abcd"), (True, "bdac")):
        backend = InTurn(longest_first)
        assert len(list(generate(jobs, small, backend, Output(tmp_path / expected)))) == 4
        assert "".join(backend.names) == expected
    assert ClusterBackend.longest_first
