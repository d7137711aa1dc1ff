"""Several runs and one table: which runs there are, their spread over seeds, and errors that end one run alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mogle_core.cli import main
from mogle_core.training.config.reading import ConfigError, TrainingConfig
from mogle_core.training.sweep import Ended, Run, planned, sweep, table, trained


def test_every_combination_and_every_seed_is_a_run_in_a_folder_of_its_own() -> None:
    runs = planned(["toy"], [], ["lora.rank=2,4", "drop.text=0.0,0.1"], 3)
    configs = [run.config() for run in runs]
    assert len({config.output.name for config in configs}) == len(runs) == 12
    assert {(c.lora.rank, c.drop.text, c.loop.seed) for c in configs} == {
        (rank, drop, seed) for rank in (2, 4) for drop in (0.0, 0.1) for seed in (42, 43, 44)
    }
    assert len({run.row for run in runs}) == 4
    assert runs[0].row == "lora.rank = 2, drop.text = 0.0"


def test_several_configurations_and_lists_as_values() -> None:
    runs = planned(["toy", "paper"], [], ["data.resolution=[64,128],256"], 1)
    assert [run.config().data.resolution for run in runs] == [(64, 128), (256,)] * 2
    assert runs[0].row.startswith("toy: ")
    assert runs[2].row.startswith("paper: ")


def test_the_paper_s_ablations() -> None:
    runs = planned(["toy"], [], ["ablations"], 3)
    networks = {run.row: run.config().model.network for run in runs}
    assert len(runs) == 24
    assert {(n.experts, n.has_experts, n.gate) for n in networks.values()} == {
        ("both", True, "matrix"), ("global", True, "matrix"), ("local", True, "matrix"), ("both", True, "static"),
        ("both", True, "scalar"), ("both", True, "none"), ("both", False, "matrix"), ("both", False, "none"),
    }  # fmt: skip
    assert {run.published for run in runs} == {30.36, 33.62, 25.74, 43.48, 33.25, 26.55, 31.30, 22.24}


@pytest.mark.parametrize(
    ("sweeps", "sentence"),
    [
        (["lora.rank"], "expected section.key=value,value or ablations"),
        (["lora.rank=2,,4"], "expected section.key=value,value or ablations"),
        (["lora.rnk=2"], "did you mean rank"),
        (["ablations", "lora.rank=2"], "stands alone"),
    ],
)
def test_what_is_wrong_is_said_before_anything_runs(sweeps: list[str], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        planned(["toy"], [], sweeps, 1)


@pytest.mark.parametrize(
    ("stems", "sweeps", "seeds"),
    [(("a/run", "b/run"), [], 1), (("run",), ["loop.seed=1,2"], 2), (("run",), ["model.vae=x/ae,x-ae"], 1)],
)
def test_two_runs_in_one_folder_are_refused(
    stems: tuple[str, ...], sweeps: list[str], seeds: int, tmp_path: Path
) -> None:
    """The second would resume the first and show its numbers."""
    sources = [tmp_path / f"{stem}.toml" for stem in stems]
    for number, source in enumerate(sources):
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text(f"[optimiser]\nlr = {number + 1}.0\n")
    with pytest.raises(ConfigError, match="Two runs would share the folder"):
        planned([str(source) for source in sources], [], sweeps, seeds)


def test_a_table_has_the_mean_and_the_spread_of_the_seeds() -> None:
    runs = planned(["toy"], [], ["lora.rank=2,4"], 3)
    losses = {2: (0.1, 0.2, 0.3), 4: (0.5, 0.5)}
    ended = []
    for rank, values in losses.items():
        members = [run for run in runs if run.config().lora.rank == rank]
        ended += [(run, Ended({"validation": value})) for run, value in zip(members, values, strict=False)]
    ended.append((runs[-1], Ended(error="no room")))
    lines = table(ended, runs).splitlines()
    assert lines[2].startswith("| lora.rank = 2 | 3 | 0.2000 ± 0.1000 | –")
    assert lines[3].startswith("| lora.rank = 4 | 2, 1 run failed | 0.5000 ± 0.0000 | –")
    assert "FID" not in lines[0]


@pytest.mark.parametrize("error", [ValueError("no room"), KeyError("no room"), ImportError("no room")])
def test_an_error_ends_its_run_alone(error: Exception, tmp_path: Path) -> None:
    runs = planned(["toy"], ["cache.where=none", f"output.folder={tmp_path}"], ["lora.rank=2,4"], 1)

    def train(config: TrainingConfig) -> Path:
        if config.lora.rank == 2:
            raise error
        assert config.loop.resume == "auto"
        folder = config.output.folder / config.output.name
        folder.mkdir()
        events = [
            {"event": "step", "step": 10, "loss": 0.5},
            {"event": "validation", "step": 10, "loss": 0.25, "gate_entropy": 1.0},
        ]
        (folder / "events.jsonl").write_text("\n".join(map(json.dumps, events)))
        return folder

    def load() -> Callable[[Run], Ended]:
        return lambda run: trained(train, run)

    first, second = (how for _, how in sweep(runs, load))
    assert "no room" in first.error
    assert second.numbers == {"loss": 0.5, "step": 10, "validation": 0.25, "gate_entropy": 1.0}
    with pytest.raises(KeyboardInterrupt):
        trained(lambda _config: None, runs[0])


def test_data_that_cannot_be_read_end_their_run_alone(tmp_path: Path) -> None:
    runs = planned(["toy"], [f"data.root={tmp_path / 'none'}", f"output.folder={tmp_path}"], ["lora.rank=2,4"], 1)

    def load() -> Callable[[Run], Ended]:
        return lambda run: pytest.fail(f"{run.row} was trained")

    assert [bool(how.error) for _, how in sweep(runs, load)] == [True, True]


def test_options_that_do_not_go_together(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "toy", "--cluster"]) == 1
    assert "--cluster spreads several runs" in capsys.readouterr().err
    assert main(["train", "toy", "--sweep", "lora.rank=2,4", "--dry-run"]) == 1
    assert "takes no --dry-run" in capsys.readouterr().err
