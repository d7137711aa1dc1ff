"""FLUX.1's encoders from every layout on disk equal the libraries' models with the same weights."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from support.small_encoders import bfl_names, clip_model, fill, save, scaled_fp8, t5_model, tokenizers, vae_model

from mogle_core.model.encoders import EncodersError, Moments, open_encoders, open_text, open_vae
from mogle_core.model.encoders.flux_vae import SCALE, SHIFT

PROMPTS = ["a woman with black hair", "", "a man smiling"]


@pytest.fixture(scope="module")
def vae_weights() -> dict[str, torch.Tensor]:
    return fill(vae_model())


def pictures() -> torch.Tensor:
    return torch.rand(2, 32, 48, 3, generator=torch.Generator().manual_seed(1))


def expected_moments(weights: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    model = vae_model()
    model.load_state_dict(weights)
    with torch.no_grad():
        found = model.encode(pictures().movedim(-1, 1) * 2 - 1).latent_dist
    return (found.mean - SHIFT) * SCALE, found.logvar + 2 * math.log(SCALE)


@pytest.mark.parametrize("form", ["single", "folder"])
def test_the_vae_encodes_as_diffusers_does(form: str, tmp_path: Path, vae_weights: dict[str, torch.Tensor]) -> None:
    if form == "single":
        path = save(tmp_path / "ae.safetensors", bfl_names(vae_weights))
    else:
        save(tmp_path / "vae/diffusion_pytorch_model.safetensors", vae_weights)
        path = tmp_path / "vae"
    vae = open_vae(str(path))
    moments = vae.encode(pictures())
    mean, log_variance = expected_moments(vae_weights)
    assert moments.mean.shape == (2, 16, 4, 6)
    torch.testing.assert_close(moments.mean, mean)
    torch.testing.assert_close(moments.log_variance, log_variance)
    assert vae.decode(moments.mean).shape == (2, 32, 48, 3)


def test_samples_of_the_moments_have_their_mean_and_variance() -> None:
    noise = torch.randn(200_000, 1, 1, 1, generator=torch.Generator().manual_seed(0))
    moments = Moments(torch.tensor(3.0).expand(noise.shape), torch.tensor(4.0).log().expand(noise.shape))
    samples = moments.sample(noise)
    assert abs(float(samples.mean()) - 3) < 0.02 and abs(float(samples.var()) - 4) < 0.05
    assert torch.equal(moments.sample(torch.zeros_like(noise)), moments.mean)


def test_a_fingerprint_is_of_the_content(tmp_path: Path, vae_weights: dict[str, torch.Tensor]) -> None:
    tensors = bfl_names(vae_weights)
    first = open_vae(str(save(tmp_path / "a.safetensors", tensors))).fingerprint
    assert open_vae(str(save(tmp_path / "b.safetensors", tensors))).fingerprint == first
    changed = {name: tensor * 1.01 for name, tensor in tensors.items()}
    assert open_vae(str(save(tmp_path / "c.safetensors", changed))).fingerprint != first


def text_files(root: Path, form: str) -> tuple[Path, Path, dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Paths of CLIP and T5 in one form, and their weights after reading."""
    clip, t5 = fill(clip_model(), 1), fill(t5_model(), 2)
    t5["encoder.embed_tokens.weight"] = t5["shared.weight"]
    bare = {name.removeprefix("text_model."): tensor for name, tensor in clip.items()}
    single = {f"text_model.{name}": tensor for name, tensor in bare.items()}
    single["text_projection.weight"], single["logit_scale"] = torch.eye(128), torch.tensor(4.6)
    single["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    alone = {name: tensor for name, tensor in t5.items() if name != "encoder.embed_tokens.weight"}
    if form == "folder":
        save(root / "text_encoder/model.safetensors", single)
        half = len(alone) // 2
        save(root / "text_encoder_2/model-00001-of-00002.safetensors", dict(list(alone.items())[:half]))
        save(root / "text_encoder_2/model-00002-of-00002.safetensors", dict(list(alone.items())[half:]))
        return root / "text_encoder", root / "text_encoder_2", clip, t5
    if form == "fp8":
        stored, worth = scaled_fp8(alone)
        t5 = {**t5, **worth}
        alone = stored
    folder = root / "models/text_encoders"
    return save(folder / "clip_l.safetensors", single), save(folder / "t5xxl.safetensors", alone), clip, t5


@pytest.mark.parametrize("form", ["single", "folder", "fp8"])
def test_text_is_encoded_as_transformers_does(form: str, tmp_path: Path) -> None:
    clip_path, t5_path, clip, t5 = text_files(tmp_path, form)
    tokenizers(tmp_path)  # found by looking around the files
    text = open_text(str(clip_path), str(t5_path), tokens=24, dtype=torch.float32)
    context, pooled = text.encode(PROMPTS)
    assert text.sizes == (24, 32, 128)
    assert context.shape == (3, 24, 32) and pooled.shape == (3, 128)
    clip_reference, t5_reference = clip_model(), t5_model()
    clip_reference.load_state_dict(clip, strict=False)
    t5_reference.load_state_dict(t5)
    words = text._clip_tokens(PROMPTS, padding="max_length", max_length=77, return_tensors="pt").input_ids  # type: ignore[attr-defined]
    pieces = text._t5_tokens(PROMPTS, padding="max_length", max_length=24, return_tensors="pt").input_ids  # type: ignore[attr-defined]
    with torch.no_grad():
        torch.testing.assert_close(pooled, clip_reference(input_ids=words).pooler_output)
        torch.testing.assert_close(context, t5_reference(input_ids=pieces).last_hidden_state)
    assert not torch.allclose(context[0], context[1]) and not torch.allclose(pooled[0], pooled[2])


def test_the_pooled_text_is_taken_at_the_end_of_the_prompt(tmp_path: Path) -> None:
    """Words after the first end token cannot reach it, because attention only looks back."""
    clip_path, t5_path, *_ = text_files(tmp_path, "single")
    text = open_text(str(clip_path), str(t5_path), tokenizers(tmp_path), 24, dtype=torch.float32)
    words = text._clip_tokens(["a man"], padding="max_length", max_length=77, return_tensors="pt").input_ids  # type: ignore[attr-defined]
    other = words.clone()
    end = int((words[0] == 53).nonzero()[0])
    other[0, end + 1 :] = 3
    model = text._clip  # type: ignore[attr-defined]
    with torch.no_grad():
        torch.testing.assert_close(model(input_ids=words).pooler_output, model(input_ids=other).pooler_output)


def test_released_encoders_read_their_weights_again(tmp_path: Path) -> None:
    clip_path, t5_path, *_ = text_files(tmp_path, "single")
    text = open_text(str(clip_path), str(t5_path), tokenizers(tmp_path), 24, dtype=torch.float32)
    before = text.encode(PROMPTS)[0]
    text.release()
    assert torch.equal(text.encode(PROMPTS)[0], before)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (
            {"encoder.conv_out.weight": (8, 64, 3, 3), "encoder.down.0.block.0.conv1.weight": (32, 32, 3, 3)},
            "4 channels",
        ),
        ({"something.weight": (1,)}, "not a VAE of FLUX.1"),
    ],
)
def test_another_vae_is_refused(names: dict[str, tuple[int, ...]], expected: str, tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({name: torch.zeros(shape) for name, shape in names.items()}, path)
    with pytest.raises(EncodersError, match=f"other.safetensors.*{expected}"):
        open_vae(str(path))


def test_swapped_files_are_reported(tmp_path: Path) -> None:
    clip_path, t5_path, *_ = text_files(tmp_path, "single")
    with pytest.raises(EncodersError, match="t5xxl.safetensors is not CLIP-L"):
        open_text(str(t5_path), str(clip_path), tokenizers(tmp_path))


def test_missing_files_and_tokenizers_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EncodersError, match="nothing for the VAE at .*none.safetensors"):
        open_vae(str(tmp_path / "none.safetensors"))
    clip_path, t5_path, *_ = text_files(tmp_path, "single")
    monkeypatch.delenv("COMFYUI_PATH", raising=False)
    with pytest.raises(EncodersError, match=r"model\.tokenizers"):
        open_text(str(clip_path), str(t5_path), tmp_path / "nowhere" / "a" / "b" / "c" / "d" / "e")


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ae.safetensors"
    save_file({"encoder.conv_in.weight": torch.zeros(64, 64)}, path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(EncodersError, match=r"ae\.safetensors is truncated"):
        open_vae(str(path))


def test_the_toy_stands_for_all_of_them() -> None:
    encoders = open_encoders("toy", "toy", "toy")
    moments = encoders.vae.encode(pictures())
    assert moments.mean.shape == (2, 16, 4, 6) and moments.log_variance is None
    context, pooled = encoders.text.encode(PROMPTS)
    tokens, width, pooled_width = encoders.text.sizes
    assert context.shape == (3, tokens, width) and pooled.shape == (3, pooled_width)
    with pytest.raises(EncodersError, match='both to "toy"'):
        open_encoders("toy", "toy", "models/t5.safetensors")
