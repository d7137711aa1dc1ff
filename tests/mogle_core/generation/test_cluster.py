"""Pictures by workers of a Ray cluster: the bits of one process, and what happens to a broken order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from support.sketch_files import write_sketching

from mogle_core.cli import main
from mogle_core.generation.backend import BackendError
from mogle_core.generation.cluster import ClusterBackend
from mogle_core.generation.jobs import read_jobs
from mogle_core.generation.local import LocalBackend
from mogle_core.generation.manifest import outcomes
from mogle_core.generation.models import Sources, toy_sources
from mogle_core.generation.run import Output, generate
from mogle_core.generation.settings import Settings
from mogle_core.support.cluster import Cluster

pytestmark = pytest.mark.xdist_group("ray")  # one Ray at a time

HERE = Cluster(workers=2, threads=1)


@pytest.fixture
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pictures(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}


@pytest.mark.slow
@pytest.mark.parametrize("write_there", [False, True])
def test_they_are_one_processs_to_the_bit(
    write_there: bool, masks: Path, tmp_path: Path, small: Settings, one_thread: None
) -> None:
    pytest.importorskip("ray")
    jobs = read_jobs(masks, "A face.")
    list(generate(jobs, small, LocalBackend(toy_sources()), Output(tmp_path / "alone")))
    backend = ClusterBackend(HERE, toy_sources(), write_there=write_there)
    found = list(generate(jobs, small, backend, Output(tmp_path / "spread")))
    assert {outcome.name for outcome in found} == {job.name for job in jobs}
    assert {outcome.status for outcome in found} == {"made"}
    assert pictures(tmp_path / "spread") == pictures(tmp_path / "alone")
    assert [o.status for o in generate(jobs, small, LocalBackend(toy_sources()), Output(tmp_path / "spread"))] == [
        "kept"
    ] * len(jobs)


@pytest.mark.slow
def test_sketches_go_to_the_workers(masks: Path, tmp_path: Path, small: Settings, one_thread: None) -> None:
    """With a mask or without one, and a worker refuses what its network cannot follow."""
    pytest.importorskip("ray")
    sources = toy_sources(write_sketching(tmp_path))
    table = tmp_path / "jobs.csv"
    table.write_text("name,mask,sketch\na,drawn/1.png,drawn/2.png\nb,,drawn/3.png\nc,drawn/1.png,\n")
    jobs = read_jobs(table, "A face.")
    for backend, out in ((LocalBackend(sources), "alone"), (ClusterBackend(HERE, sources), "spread")):
        assert {o.status for o in generate(jobs, small, backend, Output(tmp_path / out))} == {"made"}
    assert pictures(tmp_path / "spread") == pictures(tmp_path / "alone")
    with pytest.raises(BackendError, match="toy_mogle.safetensors has no expert for sketch"):
        list(generate(jobs, small, ClusterBackend(HERE, toy_sources()), Output(tmp_path / "refused")))


@pytest.mark.slow
def test_masks_without_a_network_are_refused_as_by_one_process(masks: Path, tmp_path: Path, small: Settings) -> None:
    pytest.importorskip("ray")
    sources = Sources("toy", "toy", "toy", "toy", base_dtype="float32")
    with pytest.raises(BackendError, match="give --mogle"):
        list(generate(read_jobs(masks), small, ClusterBackend(HERE, sources), Output(tmp_path / "out")))
    assert {outcome.status for outcome in outcomes(tmp_path / "out/manifest.jsonl")} == {"failed"}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--workers", "2"], "--workers needs --cluster."),
        (["--gpus-per-worker", "0.5"], "--gpus-per-worker needs --cluster."),
        (["--write-there"], "--write-there needs --cluster."),
        (["--cluster", "--server", "x"], "--cluster and --server are two ways"),
    ],
)
def test_options_that_do_not_go_together(
    options: list[str], sentence: str, masks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", str(masks), "--toy", "--size", "32", "--out", str(tmp_path / "out"), *options]) == 1
    assert sentence in capsys.readouterr().err
