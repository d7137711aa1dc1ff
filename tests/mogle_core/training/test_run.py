"""`mogle train` from a folder of faces to a file that everything else reads, from the command line."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file
from support.full_disk import small_disk
from support.small_sets import write_faces
from support.toy_run import config as small_config
from support.toy_run import trainer

from mogle_core.cli import main
from mogle_core.model.checkpoints import files as weights
from mogle_core.model.checkpoints.convert import convert
from mogle_core.model.flux.model import Flux
from mogle_core.model.flux.params import FluxParams
from mogle_core.model.mixture.network import MoGLE, MoGLEConfig
from mogle_core.model.stream.attention import StreamOptions
from mogle_core.support.locks import sole_owner
from mogle_core.toy.encoders import ToyTextEncoder
from mogle_core.training import checkpoints
from mogle_core.training import run as training_run
from mogle_core.training.config.reading import TrainingConfig, config_toml, load_config
from mogle_core.training.data.draws import generator
from mogle_core.training.result import write_result
from mogle_core.training.start import fresh_lora, fresh_network


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_faces(tmp_path_factory.mktemp("faces"), 5, 128)


def train(faces: Path, out: Path, *options: str, **sets: object) -> int:
    keys = {
        "data.root": faces,
        "data.resolution": 32,
        "cache.where": "memory",
        "loop.steps": 4,
        "loop.batch": 2,
        "validation.pairs": 1,
        "validation.steps": 2,
        "validation.every": 2,
        "output.folder": out,
        **{name.replace("__", "."): value for name, value in sets.items()},
    }
    arguments = [argument for key, value in keys.items() for argument in ("--set", f"{key}={value}")]
    return main(["train", "toy", *arguments, *options])


@pytest.fixture(scope="module")
def run(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out")
    assert train(faces, out, optimiser__ema=0.9) == 0
    return out / "my_toy_mogle"


def test_files_of_a_run(run: Path) -> None:
    assert {path.name for path in run.iterdir()} == {
        "checkpoints", "config.toml", "events.jsonl", "my_toy_mogle.safetensors", "validation"
    }  # fmt: skip
    assert [path.name for path in (run / "validation").iterdir()] == ["step_00000002.png", "step_00000004.png"]
    assert Image.open(run / "validation/step_00000004.png").size == (3 * 32, 32)
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    assert [event["event"] for event in events] == [
        "started", "validation", "step", "checkpoint", "validation", "finished"
    ]  # fmt: skip
    found = events[-2]
    assert 0 < found["gate_entropy"] <= 1
    assert sum(value for name, value in found.items() if name.startswith("gate_") and name != "gate_entropy") == (
        pytest.approx(1, abs=1e-4)
    )
    assert found["loss"] == pytest.approx(sum(found[f"loss_{part}_of_5"] for part in range(1, 6)) / 5)


def test_the_file_describes_itself(run: Path) -> None:
    path = run / "my_toy_mogle.safetensors"
    found = weights.read(path)
    assert found.network is not None
    assert found.lora is not None
    assert found.recipe.gate_timestep == "training"
    assert found.recipe.resolution == 32
    assert found.metadata["ss_steps"] == "4"
    assert found.metadata["ss_network_dim"] == "8"
    whole = path.read_bytes()
    after_header = whole[8 + int.from_bytes(whole[:8], "little") :]
    assert found.metadata["modelspec.hash_sha256"] == f"0x{hashlib.sha256(after_header).hexdigest()}"
    assert found.metadata["mogle.config"] == (run / "config.toml").read_text()
    state = checkpoints.newest(run / "checkpoints")
    assert found.metadata["mogle.data_fingerprint"] == state.fingerprint
    # What is left is the average, not the last step.
    average = torch.cat([parameter.flatten() for parameter in found.network.parameters()])
    assert torch.equal(average, state.average["network"])
    assert not torch.equal(average, state.trained["network"])


def test_a_run_resumes_and_never_overwrites_another(run: Path, faces: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (run / "my_toy_mogle.safetensors").read_bytes()
    assert train(faces, run.parent, optimiser__ema=0.9) == 1
    assert "go on with --resume auto" in capsys.readouterr().err
    assert (run / "my_toy_mogle.safetensors").read_bytes() == before
    assert train(faces, run.parent, "--resume", "auto", optimiser__ema=0.9, loop__steps=5) == 0
    assert checkpoints.newest(run / "checkpoints").step == 5


@pytest.mark.parametrize("room", [2.4, 1.4])
def test_with_room_for_one_more_checkpoint_a_run_ends_with_its_newest_state(
    room: float, run: Path, faces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run keeps 3 checkpoints. One disk has room for 2.4 of them, the other for 1.4."""
    size = checkpoints.steps_of(run / "checkpoints")[-1].stat().st_size
    with small_disk(tmp_path / "disk", int(room * size)) as disk:
        status = train(faces, disk, optimiser__ema=0.9, loop__checkpoint_every=1)
        folder = disk / "my_toy_mogle"
        found = checkpoints.newest(folder / "checkpoints")
        assert not list(folder.rglob("*.partial"))
        assert found is not None
        assert found.step == (4 if room > 2 else 1)
        assert status == 0
        ended = load_file(folder / "my_toy_mogle.safetensors")
    assert train(faces, tmp_path, optimiser__ema=0.9) == 0
    whole = load_file(tmp_path / "my_toy_mogle/my_toy_mogle.safetensors")
    assert ended.keys() == whole.keys()
    assert not [name for name in whole if not torch.equal(whole[name], ended[name])]


def test_without_room_for_the_result_a_sentence_names_the_checkpoint(
    run: Path, faces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    size = checkpoints.steps_of(run / "checkpoints")[-1].stat().st_size
    with small_disk(tmp_path / "disk", size + 32 * 4096) as disk:
        assert train(faces, disk, optimiser__ema=0.9, validation__every=0) == 1
        said = capsys.readouterr().err
        assert "Traceback" not in said
        assert "The newest checkpoint is" in said
        assert "step_00000004.pt" in said
        folder = disk / "my_toy_mogle"
        assert not (folder / "my_toy_mogle.safetensors").exists()
        assert checkpoints.newest(folder / "checkpoints").step == 4


def test_two_trainers_do_not_share_a_folder(run: Path, faces: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with sole_owner(run.with_name(".my_toy_mogle.lock")):
        assert train(faces, run.parent, "--resume", "auto", optimiser__ema=0.9) == 1
    said = capsys.readouterr().err
    assert f"is in use by process {os.getpid()} of " in said
    assert "set another output.name" in said


@pytest.mark.parametrize(
    ("sets", "sentence"),
    [
        ({"optimiser__name": "prodigy"}, "optimiser.name was 'adamw' and is now 'prodigy'"),
        ({"optimiser__betas": "[0.8, 0.9]"}, "optimiser.betas was [0.9, 0.999] and is now [0.8, 0.9]"),
        ({"model__network__gate": "static"}, "model.network.gate was 'matrix' and is now 'static'"),
        ({"loop__batch": 3}, "loop.batch was 2 and is now 3"),
        ({"lora__rank": 4}, "lora.rank was 8 and is now 4"),
        ({"data__flip": "true"}, "data.flip was False and is now True"),
    ],
)
def test_what_a_resumed_run_may_not_change(
    sets: dict[str, object], sentence: str, run: Path, faces: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(path.name for path in (run / "checkpoints").iterdir())
    assert train(faces, run.parent, "--resume", "auto", **{"optimiser__ema": 0.9, **sets}) == 1
    assert sentence in capsys.readouterr().err
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == before


def test_a_run_starts_from_a_finished_file(run: Path, faces: Path, tmp_path: Path) -> None:
    start = run / "my_toy_mogle.safetensors"
    assert train(faces, tmp_path, model__init=start, optimiser__lr=1e-12, validation__every=0) == 0
    began, ended = (load_file(path) for path in (start, tmp_path / "my_toy_mogle/my_toy_mogle.safetensors"))
    assert all(torch.allclose(began[name], ended[name], atol=1e-6) for name in began)


STATIC = {
    "model.stream.independent_condition": "true",
    "model.stream.blind_vector": "true",
    "model.network.gate": '"static"',
}


def test_a_static_run_starts_from_an_exact_file(run: Path, faces: Path, tmp_path: Path) -> None:
    """Its file says that it is static, and its keys make the picture that every step's computation makes."""
    start = run / "my_toy_mogle.safetensors"
    assert train(faces, tmp_path, model__init=start, **STATIC) == 0
    found = weights.read(tmp_path / "my_toy_mogle/my_toy_mogle.safetensors")
    assert found.recipe.stream == "static"
    assert found.recipe.options == StreamOptions(independent_condition=True)
    assert found.network is not None and found.network.config.gate == "static"
    assert found.recipe.pooled is not None
    assert torch.allclose(found.recipe.pooled, ToyTextEncoder().encode([""])[1][0].float(), atol=1e-6)
    events = [json.loads(line) for line in (tmp_path / "my_toy_mogle/events.jsonl").read_text().splitlines()]
    assert [event["event"] for event in events].count("validation") == 2


def test_a_scalar_gate_cannot_become_static(monkeypatch: pytest.MonkeyPatch) -> None:
    scalar = SimpleNamespace(network=MoGLE(MoGLEConfig(gate="scalar")), lora=None)
    monkeypatch.setattr(training_run, "read", lambda _path: scalar)
    config = load_config("toy", ["model.network.gate=static", "model.init=scalar.safetensors"])
    with pytest.raises(ValueError, match=r"scalar\.safetensors has a scalar gate, which cannot become static"):
        training_run._initial(config, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("key", list(STATIC))
def test_each_ingredient_of_a_static_stream_trains_by_itself(key: str, faces: Path, tmp_path: Path) -> None:
    assert train(faces, tmp_path, validation__every=0, loop__steps=1, **{key: STATIC[key]}) == 0
    found = weights.read(tmp_path / "my_toy_mogle/my_toy_mogle.safetensors")
    assert found.recipe.stream == "exact"
    assert found.recipe.options.independent_condition == (key == "model.stream.independent_condition")
    assert (found.recipe.pooled is not None) == (key == "model.stream.blind_vector")
    assert found.network is not None
    assert found.network.config.gate == ("static" if key == "model.network.gate" else "matrix")


@pytest.mark.slow
def test_overfitting_falls_below_a_tenth(faces: Path, tmp_path: Path) -> None:
    """Four pairs at 64 pixels, for a third of the 300 steps that it may take."""
    assert train(
        faces, tmp_path, "--overfit", "4", data__resolution=64, loop__batch=4, loop__steps=110,
        optimiser__lr=2e-3, lora__rank=16,
    ) == 0  # fmt: skip
    events = [json.loads(line) for line in (tmp_path / "my_toy_mogle/events.jsonl").read_text().splitlines()]
    losses = [event["loss"] for event in events if event["event"] == "step"]
    assert losses[-1] < losses[0] / 10
    assert not (tmp_path / "my_toy_mogle/validation").exists()


@pytest.mark.slow
def test_blocks_are_compiled_on_cuda_and_a_resumed_run_does_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda, cpu, config = torch.device("cuda"), torch.device("cpu"), TrainingConfig()
    monkeypatch.setattr(training_run, "compiles_on", lambda _device: True)
    state = trainer(small_config()).state()
    assert config.model.compile is None
    assert training_run.compiling(config, None, cuda).model.compile == "blocks"
    assert training_run.compiling(config, None, cpu).model.compile is False
    assert training_run.compiling(config, state, cuda).model.compile is False  # nothing is stored
    stored = replace(state, config=config_toml(training_run.compiling(config, None, cuda)))
    assert training_run.compiling(config, stored, cpu).model.compile == "blocks"
    eight = config.model_copy(update={"model": config.model.model_copy(update={"base_dtype": "int8"})})
    assert training_run.compiling(eight, None, cuda).model.compile is False
    monkeypatch.setattr(training_run, "compiles_on", lambda _device: False)
    assert training_run.compiling(config, None, cuda).model.compile is False


def test_a_dry_run_loads_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "paper", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "11,901,408,320 numbers in bf16" in said  # FLUX.1-dev's
    assert "101,780 trainable numbers" in said
    assert "14,487,808 trainable numbers in 343 pairs" in said
    assert "no data set to count" in said


@pytest.mark.parametrize(
    ("sets", "sentence"),
    [
        ({"model__init": "gone.safetensors"}, "no file gone.safetensors"),
        ({"model__offload_blocks": 1}, "gradient_checkpointing = true"),
        ({"loop__resume": "gone.pt"}, "There is no checkpoint gone.pt"),
        ({"loop__trackers": '["wandb"]'}, "names wandb, which is not installed"),
    ],
)
def test_sentences(
    sets: dict[str, object], sentence: str, faces: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert train(faces, tmp_path, **sets) == 1
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "my_toy_mogle").exists()


@pytest.mark.slow
def test_at_flux_s_size_the_converted_pair_is_the_official_one(tmp_path: Path) -> None:
    """Keys, shapes and counts of the published files."""
    with torch.device("meta"):
        flux = Flux(FluxParams())
    lora, network = fresh_lora(flux, 4, generator(0, "lora", 0)), fresh_network(None, 0)
    path = write_result(tmp_path / "face.safetensors", network, lora, TrainingConfig(), 4000, "data")
    pair, low_rank = convert([path], tmp_path, "official")
    tensors = torch.load(pair, weights_only=True)
    assert len(tensors) == 90
    assert sum(tensor.numel() for tensor in tensors.values()) == 101_780
    with safe_open(low_rank, "pt") as file:
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    modules = {"x_embedder"}
    for container, count, layers in (
        ("transformer_blocks", 19, "norm1.linear attn.to_q attn.to_k attn.to_v attn.to_out.0 ff.net.2"),
        ("single_transformer_blocks", 38, "norm.linear proj_mlp proj_out attn.to_q attn.to_k attn.to_v"),
    ):
        modules |= {f"{container}.{i}.{layer}" for i in range(count) for layer in layers.split()}
    assert set(shapes) == {f"transformer.{module}.lora_{letter}.weight" for module in modules for letter in "AB"}
    assert len(shapes) == 686
    assert sum(a * b for a, b in shapes.values()) == 14_487_808
    assert shapes["transformer.transformer_blocks.3.ff.net.2.lora_A.weight"] == (4, 12288)
    assert shapes["transformer.single_transformer_blocks.9.proj_out.lora_B.weight"] == (3072, 4)
