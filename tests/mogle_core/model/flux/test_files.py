"""FLUX.1's transformer is read from every form of file, and the message says what is wrong with other files."""

from __future__ import annotations

import json
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.places import DATA
from support.small_weights import FluxSizes, as_diffusers, linears
from torch import Tensor, nn

from mogle_core.model.flux.files import load, load_flux, read_params
from mogle_core.model.flux.model import Flux
from mogle_core.model.flux.params import FluxParams
from mogle_core.support.errors import WeightsError

GOLDEN = DATA / "golden" / "flux_tiny.safetensors"
WEIGHTS = load_file(GOLDEN)
AXES = (4, 6, 6)
HIDDEN = 64
FP8 = torch.float8_e4m3fn


def shapes_of(tensors: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def output(model: Flux) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    dtype = model.img_in.weight.dtype
    img, txt = torch.randn(1, 6, 64, generator=generator), torch.randn(1, 4, 32, generator=generator)
    pooled = torch.randn(1, 24, generator=generator)
    t, guidance = torch.tensor([0.6]), torch.tensor([3.5])
    return model(img.to(dtype), txt.to(dtype), t, pooled.to(dtype), (2, 3), guidance)


def saved(folder: Path, tensors: dict[str, Tensor], name: str = "flux.safetensors") -> Path:
    save_file({key: tensor.contiguous().clone() for key, tensor in tensors.items()}, folder / name)
    return folder / name


def write_diffusers(folder: Path, shards: int, config: dict[str, object] | None = None) -> Path:
    tensors = as_diffusers(WEIGHTS)
    folder.mkdir(parents=True, exist_ok=True)
    known = {"_class_name": "FluxTransformer2DModel", "axes_dims_rope": list(AXES)}
    (folder / "config.json").write_text(json.dumps(known if config is None else config))
    if shards == 1:
        saved(folder, tensors, "diffusion_pytorch_model.safetensors")
        return folder
    where = {}
    for i in range(shards):
        # Every second tensor: the parts of one fused Linear lie in different files.
        part = dict(list(tensors.items())[i::shards])
        file = f"diffusion_pytorch_model-{i + 1:05d}-of-{shards:05d}.safetensors"
        saved(folder, part, file)
        where |= dict.fromkeys(part, file)
    index = folder / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": where}))
    return folder


def dev_shapes() -> dict[str, tuple[int, ...]]:
    """The shapes of FLUX.1-dev's tensors, from its list of Linears."""
    sizes = FluxSizes(3072, (16, 56, 56), double=19, single=38, context=4096, pooled=768)
    shapes: dict[str, tuple[int, ...]] = {}
    for name, (outputs, inputs) in linears(sizes).items():
        shapes |= {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}
    norms = [f"double_blocks.{i}.{side}_attn.norm" for i in range(19) for side in ("img", "txt")]
    norms += [f"single_blocks.{i}.norm" for i in range(38)]
    return shapes | {f"{norm}.{kind}_norm.scale": (128,) for norm in norms for kind in ("query", "key")}


def test_params_of_flux_dev() -> None:
    """780 tensors and 11.9 billion parameters, without allocating them."""
    shapes = dev_shapes()
    params = read_params(shapes)
    assert params == FluxParams()
    model = load(((name, torch.empty(shape, device="meta")) for name, shape in shapes.items()), params)
    assert len(model.state_dict()) == 780
    assert sum(parameter.numel() for parameter in model.parameters()) == 11_901_408_320


def test_params_of_the_golden_model() -> None:
    params = read_params(shapes_of(WEIGHTS), AXES)
    assert (params.hidden_size, params.num_heads, params.depth, params.depth_single_blocks) == (64, 4, 2, 3)
    assert (params.context_in_dim, params.vec_in_dim, params.mlp_ratio) == (32, 24, 4.0)
    assert params.guidance_embed
    schnell = {name: shape for name, shape in shapes_of(WEIGHTS).items() if not name.startswith("guidance_in")}
    assert not read_params(schnell, AXES).guidance_embed


@pytest.mark.parametrize("lost", ["img_in.weight", "vector_in.in_layer.weight", "double_blocks.0.img_mod.lin.weight"])
def test_what_is_not_flux_is_said(lost: str) -> None:
    shapes = shapes_of(WEIGHTS)
    del shapes[lost]
    with pytest.raises(ValueError, match=f"not a FLUX.1 transformer: its file has no tensor '{lost}'"):
        read_params(shapes, AXES)


def test_load_uses_the_tensors_without_a_copy() -> None:
    """No copy if the dtype is right, a cast if it is not, and no gradients."""
    params = read_params(shapes_of(WEIGHTS), AXES)
    model = load(iter(WEIGHTS.items()), params, torch.float32)
    for name, tensor in model.state_dict().items():
        assert tensor.data_ptr() == WEIGHTS[name].data_ptr()
    half = load(iter(WEIGHTS.items()), params, torch.bfloat16)
    assert all(torch.equal(tensor, WEIGHTS[name].bfloat16()) for name, tensor in half.state_dict().items())
    assert not any(parameter.requires_grad for parameter in half.parameters())
    assert not half.training


def test_tensors_are_read_one_by_one() -> None:
    """Each is cast and freed before the next but one is read, so the file is never whole in memory."""
    handed_out: list[weakref.ref[Tensor]] = []

    def arriving() -> Iterator[tuple[str, Tensor]]:
        for name, tensor in WEIGHTS.items():
            fresh = tensor.clone()
            handed_out.append(weakref.ref(fresh))
            yield name, fresh
            del fresh
            assert sum(reference() is not None for reference in handed_out) <= 1

    load(arriving(), read_params(shapes_of(WEIGHTS), AXES), torch.bfloat16)
    assert len(handed_out) == len(WEIGHTS)


def test_tensors_that_do_not_fit_are_named() -> None:
    params = read_params(shapes_of(WEIGHTS), AXES)
    rest = {name: tensor for name, tensor in WEIGHTS.items() if name != "txt_in.bias"}
    with pytest.raises(ValueError, match=r"1 tensors are missing \(first: txt_in\.bias\), 0 are unknown"):
        load(rest.items(), params)
    with pytest.raises(ValueError, match=r"0 tensors are missing, 1 are unknown \(first: x\.y\)"):
        load((WEIGHTS | {"x.y": torch.zeros(1)}).items(), params)
    with pytest.raises(ValueError, match=r"'txt_in\.bias' is \(3,\), expected \(64,\)"):
        load((WEIGHTS | {"txt_in.bias": torch.zeros(3)}).items(), params)


# --- Single files.


@pytest.mark.parametrize("prefix", ["", "diffusion_model.", "model.diffusion_model."])
def test_single_file(prefix: str, tmp_path: Path) -> None:
    tensors = {f"{prefix}{name}": tensor for name, tensor in WEIGHTS.items()}
    if prefix:  # a full checkpoint has more in it
        tensors |= {"vae.encoder.conv_in.weight": torch.zeros(2), "text_encoders.t5xxl.shared.weight": torch.zeros(2)}
    model = load_flux(saved(tmp_path, tensors), axes_dim=AXES)
    assert torch.equal(output(model), output(load_flux(GOLDEN, axes_dim=AXES)))
    assert all(torch.equal(tensor, WEIGHTS[name]) for name, tensor in model.state_dict().items())


def test_diffusers_names_in_a_single_file(tmp_path: Path) -> None:
    model = load_flux(saved(tmp_path, as_diffusers(WEIGHTS)), axes_dim=AXES)
    assert all(torch.equal(tensor, WEIGHTS[name]) for name, tensor in model.state_dict().items())


def test_dtype_of_the_file_or_the_one_asked_for(tmp_path: Path) -> None:
    path = saved(tmp_path, {name: tensor.half() for name, tensor in WEIGHTS.items()})
    assert {t.dtype for t in load_flux(path, axes_dim=AXES).state_dict().values()} == {torch.float16}
    widened = load_flux(path, torch.float32, AXES)
    assert all(torch.equal(tensor, WEIGHTS[name].half().float()) for name, tensor in widened.state_dict().items())


@pytest.mark.parametrize("ending", ["scale_weight", "weight_scale"])
@pytest.mark.parametrize("by_row", [False, True], ids=["one scale", "a scale for each row"])
def test_scaled_fp8_is_multiplied_out(ending: str, by_row: bool, tmp_path: Path) -> None:
    tensors, expected = {"model.diffusion_model.scaled_fp8": torch.zeros(2, dtype=torch.uint8)}, {}
    for name, tensor in WEIGHTS.items():
        key = f"model.diffusion_model.{name}"
        tensors[key], expected[name] = tensor, tensor
        if name.endswith(".weight") and "blocks" in name:
            scale = (tensor.abs().amax(1, keepdim=True) if by_row else tensor.abs().amax()) / 448
            tensors[key] = (tensor / scale).to(FP8)
            expected[name] = tensors[key].float() * scale
            layer = key.removesuffix(".weight")
            tensors[f"{layer}.{ending}"] = scale.squeeze()
            tensors[f"{layer}.scale_input"] = torch.ones(())
            tensors[f"{layer}.comfy_quant"] = torch.zeros(3, dtype=torch.uint8)
    path = saved(tmp_path, tensors)
    model = load_flux(path, torch.float32, AXES)
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, expected[name])
    # 8 bits are still the model: a wrong scale would not be.
    exact = output(load_flux(GOLDEN, axes_dim=AXES))
    assert (output(model) - exact).norm() < 0.2 * exact.norm()
    with pytest.raises(WeightsError, match="8-bit floats.*choose a dtype"):
        load_flux(path, axes_dim=AXES)


def test_plain_fp8_is_widened(tmp_path: Path) -> None:
    path = saved(tmp_path, {name: tensor.to(FP8) for name, tensor in WEIGHTS.items()})
    model = load_flux(path, torch.bfloat16, AXES)
    assert all(torch.equal(t, WEIGHTS[name].to(FP8).bfloat16()) for name, t in model.state_dict().items())


def test_a_block_is_settled_before_the_next_one_is_read(tmp_path: Path) -> None:
    """What is narrowed there never stands beside the wide weights of another block."""
    path, seen = saved(tmp_path, {name: tensor.to(FP8) for name, tensor in WEIGHTS.items()}), []

    def settle(model: Flux, block: nn.Module) -> None:
        blocks = [*model.double_blocks, *model.single_blocks]
        wide = [one for one in blocks if any(weight.dtype == torch.bfloat16 for weight in one.parameters())]
        assert [one for one in wide if not next(one.parameters()).is_meta] == [block]
        seen.append(block.to(FP8))

    model = load_flux(path, torch.bfloat16, AXES, settle)
    assert seen == [*model.double_blocks, *model.single_blocks]
    assert all(torch.equal(t.float(), WEIGHTS[name].to(FP8).float()) for name, t in model.state_dict().items())


# --- Folders.


@pytest.mark.parametrize("shards", [1, 2, 3])
@pytest.mark.parametrize("whole_model", [False, True], ids=["transformer", "model's folder"])
def test_diffusers_folder(shards: int, whole_model: bool, tmp_path: Path) -> None:
    write_diffusers(tmp_path / "transformer", shards)
    model = load_flux(tmp_path if whole_model else tmp_path / "transformer")  # the axes are config.json's
    assert model.params.axes_dim == AXES
    assert all(torch.equal(tensor, WEIGHTS[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(output(model), output(load_flux(GOLDEN, axes_dim=AXES)))


def test_shards_without_an_index(tmp_path: Path) -> None:
    write_diffusers(tmp_path, 2)
    (tmp_path / "diffusion_pytorch_model.safetensors.index.json").unlink()
    assert torch.equal(output(load_flux(tmp_path)), output(load_flux(GOLDEN, axes_dim=AXES)))


def test_the_final_layer_is_shift_then_scale(tmp_path: Path) -> None:
    theirs = as_diffusers(WEIGHTS)["norm_out.linear.weight"]
    ours = load_flux(write_diffusers(tmp_path, 1)).final_layer.adaLN_modulation[1].weight
    assert torch.equal(ours[:HIDDEN], theirs[HIDDEN:])
    assert torch.equal(ours[HIDDEN:], theirs[:HIDDEN])


# --- What can be wrong.


def refused(path: Path, sentence: str, **given: object) -> None:
    with pytest.raises(WeightsError, match=sentence):
        load_flux(path, **{"axes_dim": AXES, **given})


def test_no_file_and_no_folder(tmp_path: Path) -> None:
    refused(tmp_path / "flux1-dev.safetensors", r"There is no flux1-dev\.safetensors in")
    refused(tmp_path, r"holds no diffusion_pytorch_model\*\.safetensors")


def test_gguf(tmp_path: Path) -> None:
    (tmp_path / "flux1-dev-Q4_K_S.gguf").write_bytes(b"GGUF")
    refused(tmp_path / "flux1-dev-Q4_K_S.gguf", r"GGUF file, which only ComfyUI's.*\.safetensors")


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.001, 0.3, 0.9, 0.999])
def test_truncated(share: float, tmp_path: Path) -> None:
    content = GOLDEN.read_bytes()
    (tmp_path / "flux.safetensors").write_bytes(content[: int(share * len(content))])
    refused(tmp_path / "flux.safetensors", r"flux\.safetensors is truncated or not a .safetensors file")


def test_not_safetensors(tmp_path: Path) -> None:
    torch.save(WEIGHTS, tmp_path / "flux.pt")
    refused(tmp_path / "flux.pt", r"flux\.pt is a PyTorch file .*not a .safetensors file")
    (tmp_path / "flux.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    refused(tmp_path / "flux.safetensors", r"flux\.safetensors is a pointer of Git LFS")


def test_flux_2(tmp_path: Path) -> None:
    tensors = WEIGHTS | {"double_stream_modulation_img.lin.weight": torch.zeros(2, 2)}
    refused(saved(tmp_path, tensors), "is FLUX.2.*Use flux1-dev")
    folder = write_diffusers(tmp_path / "flux2", 1, {"_class_name": "Flux2Transformer2DModel"})
    refused(folder, "Flux2Transformer2DModel, but Face-MoGLE was made for FLUX.1")


def test_another_model(tmp_path: Path) -> None:
    refused(saved(tmp_path, {"encoder.conv_in.weight": torch.zeros(2)}), "not a FLUX.1 transformer")
    tensors = as_diffusers(WEIGHTS) | {"pos_embed.proj.weight": torch.zeros(2)}
    refused(saved(tmp_path, tensors), r"no module 'pos_embed\.proj'")


def test_a_shard_is_missing(tmp_path: Path) -> None:
    write_diffusers(tmp_path, 3)
    (tmp_path / "diffusion_pytorch_model-00002-of-00003.safetensors").unlink()
    refused(tmp_path, "lacks 1 of the 3 files .*00002-of-00003")
    (tmp_path / "diffusion_pytorch_model.safetensors.index.json").unlink()
    refused(tmp_path, r"lacks the tensor .*\.(weight|bias)")


def test_a_part_of_a_fused_linear_is_missing(tmp_path: Path) -> None:
    tensors = as_diffusers(WEIGHTS)
    del tensors["transformer_blocks.1.attn.to_k.bias"]
    refused(saved(tmp_path, tensors), r"flux\.safetensors lacks the tensor transformer_blocks\.1\.attn\.to_k\.bias")


def test_missing_and_unknown_tensors_name_the_file(tmp_path: Path) -> None:
    refused(saved(tmp_path, WEIGHTS | {"more": torch.zeros(1)}), r"^flux\.safetensors: .*1 are unknown \(first: more\)")


def test_packed_weights(tmp_path: Path) -> None:
    packed = {name: t.to(torch.uint8) if name.endswith("linear1.weight") else t for name, t in WEIGHTS.items()}
    refused(saved(tmp_path, packed), r"packed by a quantiser \(integers in 'single_blocks")


def test_axes_that_do_not_fit(tmp_path: Path) -> None:
    """The golden heads are 16 wide. FLUX's proportions would give them odd axes."""
    refused(GOLDEN, r"rope axes \(2, 7, 7\).*axes_dim", axes_dim=None)


def test_broken_config(tmp_path: Path) -> None:
    write_diffusers(tmp_path, 1)
    (tmp_path / "config.json").write_text("{")
    refused(tmp_path, r"config\.json: this is not JSON.*Download it again")
