"""FLUX.1 without ComfyUI: without a mask it is plain FLUX, and its embeddings equal their formulas."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from support.golden import AXES, GOLDEN, read_lora, read_transformer
from torch import Tensor

from mogle_core.model.flux.attention import attend, rope, rotate
from mogle_core.model.flux.files import load, read_params
from mogle_core.model.flux.layers import timestep_embedding
from mogle_core.model.flux.model import Flux
from mogle_core.model.flux.params import FluxParams
from mogle_core.model.stream.attention import StreamOptions
from mogle_core.model.stream.condition import MaskCondition
from mogle_core.model.stream.mask_tokens import mask_modulations, mask_positions
from mogle_core.model.stream.merged_tokens import merge_squares

GRID = (2, 3)


@pytest.fixture(scope="module")
def model() -> Flux:
    return read_transformer()


def inputs(batch: int = 2) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "img": torch.randn(batch, 6, 64, generator=generator),
        "txt": torch.randn(batch, 4, 32, generator=generator),
        "timestep": torch.linspace(0.8, 0.3, batch),
        "pooled": torch.randn(batch, 24, generator=generator),
        "guidance": torch.full((batch,), 3.5),
    }


def condition(options: StreamOptions | None = None, guidance: float | None = None) -> MaskCondition:
    lora = read_lora().requires_grad_(False).low_rank()
    tokens = torch.randn(2, 6, 64, generator=torch.Generator().manual_seed(1))
    return MaskCondition(tokens, GRID, lora, options or StreamOptions(), guidance)


def test_without_a_mask_it_is_plain_flux_to_the_bit(model: Flux) -> None:
    """Before, between and after passes with a mask: no trace of the mask stays in the model."""
    given = inputs()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    plain = model(**given, grid=GRID)
    masked = model(**given, grid=GRID, mask=condition())
    assert torch.equal(model(**given, grid=GRID), plain)
    assert torch.equal(model(**given, grid=GRID, mask=condition()), masked)
    assert torch.equal(model(**given, grid=GRID, mask=None), plain)
    assert not torch.allclose(masked, plain, atol=1e-3)
    assert all(torch.equal(given[name], tensor) for name, tensor in inputs().items())
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


def test_a_mask_without_attention_leaves_plain_flux(model: Flux) -> None:
    apart = model(**inputs(), grid=GRID, mask=condition(StreamOptions(union_attention=False)))
    torch.testing.assert_close(apart, model(**inputs(), grid=GRID), rtol=1e-4, atol=1e-5)


def test_a_weaker_mask_approaches_plain_flux(model: Flux) -> None:
    plain = model(**inputs(), grid=GRID)
    distances = [
        (model(**inputs(), grid=GRID, mask=condition(StreamOptions(strength=strength))) - plain).norm().item()
        for strength in (1.0, 0.3, 0.1, 0.01, 0.0)
    ]
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 1e-4 < distances[0]


def test_the_masks_vector_has_time_zero_and_its_own_guidance(model: Flux) -> None:
    given = inputs()
    pooled, guidance = given["pooled"], given["guidance"]
    stream = model.open_stream(condition(), pooled, guidance)
    one = model.open_stream(condition(guidance=1.0), pooled, guidance)
    as_one = model.open_stream(condition(), pooled, torch.ones(2))
    zero = mask_modulations(model, model.vector(torch.zeros(2), pooled, guidance), condition().lora)
    for name, modulation in stream.given.modulations.items():
        assert torch.equal(modulation, zero[name])
        assert torch.equal(one.given.modulations[name], as_one.given.modulations[name])
        assert not torch.equal(one.given.modulations[name], modulation)
    assert torch.equal(stream.given.rotary, model.rotary(mask_positions(*GRID)))


def test_model_without_guidance_ignores_it() -> None:
    weights = load_file(GOLDEN / "flux_tiny.safetensors")
    weights = {name: tensor for name, tensor in weights.items() if not name.startswith("guidance_in")}
    params = read_params({name: tuple(t.shape) for name, t in weights.items()}, AXES)
    assert not params.guidance_embed
    schnell, given = load(weights.items(), params), inputs()
    expected = schnell(**given, grid=GRID)
    given["guidance"] = None
    assert torch.equal(schnell(**given, grid=GRID), expected)
    assert schnell(**given, grid=GRID, mask=condition(guidance=1.0)).isfinite().all()


def test_timestep_embedding_is_its_formula() -> None:
    t = torch.tensor([0.0, 0.25, 1.0])
    found = timestep_embedding(t, 8)
    for row, value in zip(found, t.tolist(), strict=True):
        angles = [1000 * value * 10_000 ** (-k / 4) for k in range(4)]
        expected = [math.cos(a) for a in angles] + [math.sin(a) for a in angles]
        assert row.tolist() == pytest.approx(expected, abs=1e-4)
    assert timestep_embedding(torch.ones(1)).shape == (1, 256)


def test_rotary_matrices_rotate_by_position_times_frequency() -> None:
    ids = torch.tensor([[[0.0, 2.0, 5.0]]])
    matrices = rope(ids, AXES, 10_000)[0, 0, 0]
    assert matrices.shape == (8, 2, 2)
    angles = [0, 0, 2, 2 * 10_000 ** (-1 / 3), 2 * 10_000 ** (-2 / 3)]
    angles += [5, 5 * 10_000 ** (-1 / 3), 5 * 10_000 ** (-2 / 3)]
    for matrix, angle in zip(matrices.tolist(), angles, strict=True):
        turn = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
        assert matrix[0] == pytest.approx(turn[0], abs=1e-6)
        assert matrix[1] == pytest.approx(turn[1], abs=1e-6)


def test_rotation_keeps_lengths_and_sees_only_distances() -> None:
    torch.manual_seed(0)
    q, k = torch.randn(2, 1, 1, 1, 16).unbind()

    def product(query: tuple[int, int], key: tuple[int, int]) -> float:
        turned = [rotate(x, rope(torch.tensor([[[0.0, *at]]]), AXES, 10_000)) for x, at in ((q, query), (k, key))]
        assert turned[0].norm().item() == pytest.approx(q.norm().item(), rel=1e-5)
        return (turned[0] * turned[1]).sum().item()

    assert product((3, 7), (1, 2)) == pytest.approx(product((12, 25), (10, 20)), abs=1e-4)
    assert product((0, 0), (0, 0)) == pytest.approx((q * k).sum().item(), abs=1e-5)
    assert product((3, 7), (1, 2)) != pytest.approx(product((3, 7), (2, 2)), abs=1e-2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("way", ["autograd", "inference", "compiled"])
def test_every_rotation_is_a_product_with_the_matrices(
    monkeypatch: pytest.MonkeyPatch, way: str, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    rotary, x = rope(torch.randint(9, (1, 7, 3)), AXES, 10_000), torch.randn(2, 3, 5, 16).to(dtype)
    expected = torch.einsum("bhspi,bspji->bhspj", x.float().unflatten(-1, (8, 2)), rotary[:, 0, :5]).flatten(-2)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: way == "compiled")
    with torch.set_grad_enabled(way != "inference"):
        turned = rotate(x.clone(), rotary)
    assert turned.dtype == dtype
    torch.testing.assert_close(turned, expected.to(dtype))


def test_attention_is_a_softmax_of_products() -> None:
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, 4, 5, 16).unbind()
    bias = torch.randn(5, 5)
    for mask in (None, bias):
        logits = q @ k.mT / 4 + (0 if mask is None else mask)
        expected = (logits.softmax(-1) @ v).transpose(1, 2).reshape(2, 5, 64)
        torch.testing.assert_close(attend(q, k, v, None, mask), expected, rtol=1e-4, atol=1e-5)
    # Fewer queries than keys: the first ones.
    rotary = rope(torch.arange(15.0).reshape(1, 5, 3), AXES, 10_000)
    whole = attend(q, k, v, rotary, None)
    torch.testing.assert_close(attend(q[:, :, :2], k, v, rotary, None), whole[:, :2], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "wrong", [{"num_heads": 7}, {"axes_dim": (16, 56, 54)}, {"axes_dim": (2, 63, 63)}], ids=["heads", "sum", "odd"]
)
def test_sizes_that_do_not_fit_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="rope axes"):
        FluxParams(**wrong)


@pytest.mark.slow
@pytest.mark.skipif(torch.__version__.startswith("2.4."), reason="torch 2.4's compiler cannot call a NamedTuple")
@pytest.mark.usefixtures("inference")
@pytest.mark.parametrize("kind", ["exact", "weaker", "keeping", "reusing", "merged"])
def test_a_step_with_a_mask_is_one_graph(kind: str) -> None:
    model, kept = read_transformer(), {}
    model(**inputs(), grid=GRID, mask=replace(condition(), keep=kept))
    mask = {
        "exact": condition(),
        "weaker": condition(StreamOptions(strength=0.7)),
        "keeping": replace(condition(), keep={}),
        "reusing": replace(condition(), reuse=kept),
        "merged": replace(condition(), merged=merge_squares(torch.zeros(1, 4, 6), GRID)),
    }[kind]
    expected = model(**inputs(), grid=GRID, mask=mask)
    compiled = torch.compile(model, backend="eager", fullgraph=True, dynamic=False)
    torch.testing.assert_close(compiled(**inputs(), grid=GRID, mask=mask), expected)


def test_runs_in_bfloat16() -> None:
    tensors = load_file(GOLDEN / "flux_tiny.safetensors")
    params = read_params({name: tuple(t.shape) for name, t in tensors.items()}, AXES)
    exact = load(tensors.items(), params)(**inputs(), grid=GRID)
    given = {name: tensor.bfloat16() for name, tensor in inputs().items()}
    half = load(tensors.items(), params, torch.bfloat16)(**given, grid=GRID)
    assert half.dtype == torch.bfloat16
    assert (half.float() - exact).norm() < 0.05 * exact.norm()


class OnMps:
    """Position ids as they would be on a device without float64."""

    device = torch.device("mps")

    def __init__(self, ids: torch.Tensor) -> None:
        self.ids = ids

    def cpu(self) -> torch.Tensor:
        return self.ids


def test_positions_are_computed_on_the_cpu_where_the_device_has_no_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = torch.rand(1, 5, 3)
    expected, moved = rope(ids, (16, 56, 56), 10000), []
    monkeypatch.setattr(torch.Tensor, "to", lambda self, device: moved.append(device) or self)
    assert torch.equal(rope(OnMps(ids), (16, 56, 56), 10000), expected)
    assert moved == [torch.device("mps")]
