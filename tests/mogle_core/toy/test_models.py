"""The toy's VAE, text encoder and judge before training: shapes, files and invariances."""

from __future__ import annotations

import torch

from mogle_core.toy.build.patches import components, start_from_patches
from mogle_core.toy.drawer.faceset import draw_faces
from mogle_core.toy.judge import Judge, describe, parse
from mogle_core.toy.text import MAX_WORDS, ToyText, collect_vocabulary, words_of
from mogle_core.toy.vae import FLUX_SCALE, FLUX_SHIFT, ToyVAE


def crops() -> torch.Tensor:
    return torch.rand(40, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def test_the_vae_starts_as_the_principal_components_of_patches() -> None:
    vae, pictures = ToyVAE(), crops()
    start_from_patches(vae, pictures)
    projection, mean = components(pictures)
    # Row by row, a patch in the order of its 2 x 2 phases, coarse to fine.
    patch = pictures[0, :, 8:, :8].reshape(3, 2, 2, 2, 2, 2, 2).permute(1, 4, 2, 5, 3, 6, 0).flatten()
    raw = vae.taesd_encoder(pictures[:1])
    assert torch.allclose(raw[0, :, 1, 0], projection @ (patch - mean), atol=1e-4)


@torch.no_grad()
def test_latents_are_what_comfyui_s_format_makes_of_the_file() -> None:
    vae, pictures = ToyVAE(), crops()
    raw = vae.taesd_encoder(pictures)
    vae.normalise(vae.encode(pictures))
    latents = vae.encode(pictures)
    assert abs(latents.mean()) < 1e-5
    assert abs(latents.std() - 1) < 1e-5
    comfy = raw / vae.vae_scale + vae.vae_shift
    assert torch.allclose(latents, (comfy - FLUX_SHIFT) * FLUX_SCALE)
    assert torch.allclose(vae.decode(latents), vae.taesd_decoder(raw), atol=1e-4)


def test_vae_file_names_are_taesd_s() -> None:
    names = set(ToyVAE().state_dict())
    assert {"vae_scale", "vae_shift", "taesd_encoder.14.weight", "taesd_decoder.1.weight"} <= names
    assert "taesd_decoder.18.conv.4.bias" in names
    assert "taesd_encoder.2.bias" not in names
    assert len(names) == 2 + 2 * 10 * 6 + (2 + 3 + 2) + (2 + 3 + 2)


def test_words() -> None:
    assert words_of("A T-shirt, (red:1.2) -- V-neck!") == ["a", "t-shirt", "red", "v-neck"]
    vocabulary = collect_vocabulary(["The hair.", "a hair"])
    assert vocabulary == ("<pad>", "<unk>", "a", "hair", "the")
    tokens = ToyText(vocabulary).tokenise(["The hair, dragon", "", "a " * 100])
    assert tokens[0, :4].tolist() == [4, 3, 1, 0]
    assert not tokens[1].any()
    assert tokens.shape == (3, MAX_WORDS)


@torch.no_grad()
def test_a_prompt_s_context_depends_on_its_words_and_their_order_only() -> None:
    torch.manual_seed(0)
    text = ToyText(("<pad>", "<unk>", "red", "blue", "hair")).eval()
    alone, pooled = text.encode(["red hair blue"])
    together, _ = text.encode(["blue", "RED, hair. blue", "hair"])
    assert torch.allclose(alone[0], together[1], atol=1e-6)
    assert not torch.allclose(alone, text.encode(["blue hair red"])[0], atol=1e-3)
    assert torch.equal(text.encode(["dragon hair"])[0], text.encode(["unicorn hair"])[0])
    assert alone.shape == (1, 16, 96)
    assert pooled.shape == (1, 64)


def test_the_judge_takes_any_size_and_any_batch() -> None:
    torch.manual_seed(0)
    judge = Judge().eval()
    pictures = torch.randint(256, (3, 32, 48, 3), dtype=torch.uint8)
    ids = parse(judge, pictures, batch=2)
    assert ids.shape == (3, 32, 48)
    assert ids.dtype == torch.uint8
    assert torch.allclose(describe(judge, pictures, batch=2), describe(judge, pictures), atol=1e-5)


def test_a_set_of_faces_is_the_same_however_it_is_drawn() -> None:
    alone, both = draw_faces([5], size=32), draw_faces([4, 5], size=32, workers=2)
    assert (both.pictures[1] == alone.pictures[0]).all()
    assert both.captions[1] == alone.captions[0]
    assert both.attributes[1] == alone.attributes[0]
    assert (both.ids[1] == alone.ids[0]).all()
