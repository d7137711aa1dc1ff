"""Every storage format of a mask gives the same ids, and anything else gives an error message."""

from __future__ import annotations

import logging
from io import BytesIO

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from support.places import DATA
from torch import Tensor

from mogle_core.masks.decode import MAX_OFF_PALETTE, LabelMap, MaskError, decode_image, decode_tensor
from mogle_core.masks.decouple import colours, resize
from mogle_core.masks.labels import CLASS_NAMES, LABEL_SPACES, NUM_CLASSES, ONE_LIP, PALETTE
from mogle_core.toy.drawer.faces import draw_label_map, draw_portrait

MASKS = DATA / "masks"
NAMES = sorted(path.stem for path in MASKS.glob("*.png"))

MM_CELEBA_27000 = {
    "background": 66692,
    "skin": 42794,
    "nose": 4315,
    "l_eye": 583,
    "r_eye": 725,
    "l_brow": 223,
    "r_brow": 800,
    "r_ear": 2011,
    "u_lip": 939,
    "l_lip": 1273,
    "hair": 121757,
    "neck": 20032,
}


def stored(name: str = "mm_celeba_27000") -> Image.Image:
    return Image.open(MASKS / f"{name}.png")


def as_image(picture: Image.Image) -> Tensor:
    """What ComfyUI's LoadImage returns for an image: (1, H, W, 3) in 0..1."""
    return torch.from_numpy(np.array(picture.convert("RGB")).astype(np.float32) / 255)[None]


def pixels(ids: Tensor) -> dict[str, int]:
    counts = torch.bincount(ids.flatten().long(), minlength=NUM_CLASSES).tolist()
    return {name: count for name, count in zip(CLASS_NAMES, counts, strict=True) if count}


def raw_ids(mode: str = "L") -> Image.Image:
    indices = np.array(stored())
    return Image.fromarray(indices.astype({"L": np.uint8, "I": np.int32, "I;16": np.uint16}[mode]))


def permuted_palette() -> Image.Image:
    """The same image with its palette entries, and so its indices, in another order."""
    indices = NUM_CLASSES - 1 - np.array(stored())
    picture = Image.fromarray(indices.astype(np.uint8), "P")
    picture.putpalette([level for colour in reversed(PALETTE) for level in colour])
    return picture


def strange_palette() -> Image.Image:
    """Ids with the palette of another data set (like VOC's), with black background."""
    picture = stored().copy()
    picture.putpalette([0, 0, 0, *(level for c in range(1, 19) for level in (128, 7 * c, 128))])
    return picture


def grey_palette() -> Image.Image:
    picture = stored().copy()
    picture.putpalette([c for c in range(NUM_CLASSES) for _ in range(3)])
    return picture


def with_alpha(picture: Image.Image) -> Image.Image:
    """The image, half transparent everywhere."""
    picture.putalpha(128)
    return picture


FILES = {
    "P": stored,
    "P, permuted palette": permuted_palette,
    "P, strange palette": strange_palette,
    "P, grey palette": grey_palette,
    "L ids": raw_ids,
    "I ids": lambda: raw_ids("I"),
    "I;16 ids": lambda: raw_ids("I;16"),
    "F ids": lambda: raw_ids().convert("F"),
    "LA ids": lambda: with_alpha(raw_ids()),
    "RGB": lambda: stored().convert("RGB"),
    "RGB ids": lambda: raw_ids().convert("RGB"),
    "RGBA": lambda: with_alpha(stored().convert("RGBA")),
}

TENSORS = {
    "from RGB": lambda: as_image(stored()),
    "from L ids": lambda: as_image(raw_ids()),
    "ids in one channel": lambda: as_image(raw_ids())[..., :1],
    "ids without channels": lambda: as_image(raw_ids())[..., 0],
    "RGBA": lambda: torch.cat((as_image(stored()), torch.full((1, 512, 512, 1), 0.5)), -1),
    "half precision": lambda: as_image(stored()).half(),
}


@pytest.mark.parametrize("storage", FILES)
def test_a_file_of_any_mode_has_its_classes(storage: str) -> None:
    decoded = decode_image(FILES[storage]())
    assert pixels(decoded.ids) == MM_CELEBA_27000
    assert torch.equal(decoded.ids[0], torch.from_numpy(np.array(stored())))
    assert (decoded.label_space, decoded.snapped, decoded.off_palette) == ("celebamask", 0, 0)


@pytest.mark.parametrize("storage", TENSORS)
def test_an_image_tensor_of_any_form_has_its_classes(storage: str) -> None:
    decoded = decode_tensor(TENSORS[storage]())
    assert decoded.ids.dtype == torch.uint8 and decoded.ids.shape == (1, 512, 512)
    assert pixels(decoded.ids) == MM_CELEBA_27000


@pytest.mark.parametrize("size", [(1024, 1024), (333, 500)])
def test_a_resized_mask_keeps_its_shares(size: tuple[int, int]) -> None:
    ids = resize(decode_tensor(as_image(stored())).ids, *size)
    found = {name: count / ids.numel() for name, count in pixels(ids).items()}
    assert found == pytest.approx({n: c / 512**2 for n, c in MM_CELEBA_27000.items()}, rel=0.05)


def test_a_batch_of_two_is_its_items() -> None:
    first, second = as_image(stored()), as_image(stored("portrait_a"))
    decoded = decode_tensor(torch.cat((first, second)))
    assert torch.equal(decoded.ids[:1], decode_tensor(first).ids)
    assert torch.equal(decoded.ids[1:], decode_tensor(second).ids)


@pytest.mark.slow
@given(st.lists(st.integers(0, 18), min_size=12, max_size=12))
def test_decoding_undoes_painting(classes: list[int]) -> None:
    ids = torch.tensor(classes, dtype=torch.uint8).view(1, 3, 4)
    assert torch.equal(decode_tensor(colours(ids)).ids, ids)


@pytest.mark.slow
@settings(deadline=None)  # the first that has to fill pixels imports scipy
@given(st.integers(0, 18), st.tuples(*[st.integers(-14, 14)] * 3))
def test_a_colour_near_the_palette_is_its_class(class_id: int, shift: tuple[int, int, int]) -> None:
    level = torch.tensor(PALETTE[class_id]) + torch.tensor(shift)
    picture = torch.cat((level.clamp(0, 255).expand(1, 4, 4, 3), torch.tensor([[[[204, 0, 0]] * 4]])), 1) / 255
    decoded = decode_tensor(picture)
    assert decoded.ids[:, :4].eq(class_id).all()
    assert decoded.off_palette == 0


def test_transparent_pixels_are_background() -> None:
    picture = stored().convert("RGBA")
    alpha = np.full((512, 512), 255, np.uint8)
    alpha[100:300] = 0
    picture.putalpha(Image.fromarray(alpha))
    expected = torch.from_numpy(np.array(stored()))
    expected[100:300] = 0
    assert torch.equal(decode_image(picture).ids[0], expected)
    tensor = torch.from_numpy(np.array(picture).astype(np.float32) / 255)[None]
    assert torch.equal(decode_tensor(tensor).ids[0], expected)


def test_a_one_bit_picture_holds_ids_0_and_1() -> None:
    bits = np.zeros((8, 8), bool)
    bits[2:5, 3:6] = True
    assert pixels(decode_image(Image.fromarray(bits), "celebamask").ids) == {"background": 55, "skin": 9}


def lossy(name: str, quality: int, subsampling: int) -> Image.Image:
    buffer = BytesIO()
    stored(name).convert("RGB").save(buffer, "JPEG", quality=quality, subsampling=subsampling)
    return Image.open(buffer)


# 4:4:4 keeps the colours' edges; 4:2:0, Pillow's default, blends them over two pixels.
@pytest.mark.parametrize(("subsampling", "right"), [(0, 0.9995), (2, 0.996)])
@pytest.mark.parametrize("name", NAMES)
def test_a_jpeg_of_quality_95_is_read_all_but_a_few_pixels(name: str, subsampling: int, right: float) -> None:
    truth = decode_image(stored(name)).ids
    decoded = decode_image(lossy(name, 95, subsampling))
    assert decoded.ids.eq(truth).float().mean() > right
    assert decoded.snapped > 0.2
    assert set(pixels(decoded.ids)) == set(pixels(truth))


@pytest.mark.parametrize("how", [Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS])
@pytest.mark.parametrize("name", NAMES)
def test_a_smoothly_enlarged_mask_invents_no_class(name: str, how: Image.Resampling) -> None:
    picture = stored(name).convert("RGB")
    truth = decode_image(picture.resize((1024, 1024), Image.Resampling.NEAREST)).ids
    decoded = decode_image(picture.resize((1024, 1024), how))
    assert set(pixels(decoded.ids)) == set(pixels(truth))
    assert decoded.ids.eq(truth).float().mean() > 0.997


def test_an_edge_from_cloth_to_background_makes_no_necklace() -> None:
    ramp = torch.tensor([204, 204, 204, 204, 204, 153, 51, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    picture = torch.zeros(1, 24, 24, 3)
    picture[..., 1] = ramp / 255
    assert pixels(decode_tensor(picture).ids) == {"background": 18 * 24, "cloth": 6 * 24}


def test_off_palette_pixels_take_the_nearest_class_and_are_reported(caplog: pytest.LogCaptureFixture) -> None:
    ids = torch.zeros(1, 32, 32, dtype=torch.uint8)
    ids[:, :, 16:] = 13
    picture = colours(ids)
    picture[:, 10:26:2, 12:20:2] = 0.5  # 32 grey pixels that touch no other, half on either side
    with caplog.at_level(logging.WARNING):
        decoded = decode_tensor(picture)
    assert torch.equal(decoded.ids, ids)
    assert decoded.off_palette == 32 / 1024
    assert "3 % of the mask's pixels" in caplog.text


@pytest.mark.slow
@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_stains_change_only_their_neighbours_and_add_no_class(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(1, 19, (2, 3, 3), generator=generator).repeat_interleave(8, 1).repeat_interleave(8, 2)
    stained = torch.rand(ids.shape, generator=generator) < 0.02
    picture = colours(ids)
    picture[stained] = 0.5
    decoded = decode_tensor(picture).ids
    near = torch.nn.functional.max_pool2d(stained.float(), 3, stride=1, padding=1) > 0
    assert torch.equal(decoded[~near].long(), ids[~near])
    assert set(decoded.unique().tolist()) <= set(ids.unique().tolist())


def test_a_tiny_picture_of_near_colours_is_read() -> None:
    picture = (colours(torch.tensor([[[1, 13], [2, 18]]])) * 255 + 1).clamp(0, 255) / 255
    assert decode_tensor(picture).ids.tolist() == [[[1, 13], [2, 18]]]


def test_the_limit_is_held_by_each_picture_of_a_batch() -> None:
    batch = colours(torch.ones(10, 16, 16))
    batch[3, :2] = 0.5
    assert (batch[..., 1] == 0.5).float().mean() < MAX_OFF_PALETTE
    with pytest.raises(MaskError, match="12 % of the mask's pixels have no colour"):
        decode_tensor(batch)


def test_a_photo_is_refused_with_what_to_do() -> None:
    photo = torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(0))
    with pytest.raises(MaskError, match="looks like a photo.*Parse Face"):
        decode_tensor(photo)


REFUSED = {
    "empty batch": (torch.zeros(0, 8, 8, 3), "is empty"),
    "no pixels": (torch.zeros(1, 0, 8, 3), "is empty"),
    "wrong channels": (torch.zeros(1, 8, 8, 2), r"shape \(1, 8, 8, 2\)"),
    "no batch": (torch.zeros(8, 8), r"shape \(8, 8\)"),
    "integers": (torch.zeros(1, 8, 8, 3, dtype=torch.uint8), "torch.uint8"),
    "nan": (torch.full((1, 8, 8, 3), torch.nan), "NaN"),
    "infinite": (torch.full((1, 8, 8, 3), torch.inf), "infinite"),
    "0..255": (torch.full((1, 8, 8, 3), 204.0), "from 204 to 204; an IMAGE runs from 0 to 1"),
    "-1..1": (torch.full((1, 8, 8, 3), -1.0), "from -1 to -1"),
    "black and white": (torch.eye(8)[None, ..., None], "black-and-white.*Set Region"),
    "too many ids": (torch.arange(24.0).view(1, 4, 6, 1) / 255, "ids up to 23; CelebAMask-HQ has 0 to 18"),
    "grey of colours": (torch.tensor([[[0, 30, 76.0]]]) / 255, "up to 76.*colour mask.*save it in colour"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_mask_is_refused_in_a_sentence(case: str) -> None:
    image, sentence = REFUSED[case]
    with pytest.raises(MaskError, match=sentence):
        decode_tensor(image)


def test_a_file_of_broken_ids_is_refused_in_a_sentence() -> None:
    with pytest.raises(MaskError, match="ids are whole|are whole, 0 to 18"):
        decode_image(Image.fromarray(np.full((4, 4), 0.5, np.float32)))
    with pytest.raises(MaskError, match="up to 3000"):
        decode_image(Image.fromarray(np.array([[0, 5, 3000]], np.uint16)))
    with pytest.raises(MaskError, match="is empty"):
        decode_image(Image.new("RGB", (0, 4)))


def test_a_truncated_file_is_refused_in_a_sentence() -> None:
    content = (MASKS / "portrait_a.png").read_bytes()
    with pytest.raises(MaskError, match="cannot be read"):
        decode_image(Image.open(BytesIO(content[: len(content) // 2])))


@pytest.mark.parametrize("space", LABEL_SPACES)
def test_an_explicit_space_maps_ids_and_colours_by_its_table(space: str) -> None:
    table = LABEL_SPACES[space]
    source = torch.arange(len(table), dtype=torch.uint8).view(1, 1, -1)
    for picture in (source[..., None].float() / 255, colours(source)):
        decoded = decode_tensor(picture, space)
        assert decoded.ids.flatten().tolist() == list(table)
        assert decoded.label_space == space


@pytest.mark.parametrize("space", [space for space in LABEL_SPACES if space not in ONE_LIP])
def test_drawn_faces_go_through_each_space_and_come_back(space: str) -> None:
    """Classes that the space lacks become background first. All others come back, as ids and as colours."""
    there = torch.zeros(NUM_CLASSES, dtype=torch.uint8)
    for source, class_id in reversed(list(enumerate(LABEL_SPACES[space]))):
        there[class_id] = source
    drawn = [draw_label_map(draw_portrait(seed)[0], 64) for seed in range(20)]
    ids = torch.stack([torch.from_numpy(face) for face in drawn])
    ids[~torch.isin(ids, torch.tensor(LABEL_SPACES[space]))] = 0
    assert len(ids.unique()) == len(set(LABEL_SPACES[space])), "every class of the space is drawn"
    foreign = there[ids.long()]
    for picture in (foreign[..., None].float() / 255, colours(foreign)):
        assert torch.equal(decode_tensor(picture, space).ids, ids)


def test_an_id_beyond_the_space_is_refused_with_its_number() -> None:
    for picture in (torch.full((1, 4, 4), 11 / 255), colours(torch.full((1, 4, 4), 11))):
        with pytest.raises(MaskError, match="id 11, but label space lapa has 11 ids, 0 to 10"):
            decode_tensor(picture, "lapa")


def test_an_unknown_space_is_refused_with_the_known_ones() -> None:
    with pytest.raises(MaskError, match="'ffhq' is unknown.*farl"):
        decode_tensor(torch.zeros(1, 4, 4, 3), "ffhq")


def test_the_summary_says_what_was_read() -> None:
    decoded = decode_image(stored())
    assert decoded.summary().startswith("512x512, 12 of 19 classes: hair 46 %, background 25 %, skin 16 %, ")
    assert decoded.summary().endswith("l_brow <0.1 %; label space celebamask; 0 % off palette")
    pair = LabelMap(torch.zeros(2, 3, 5, dtype=torch.uint8), "farl", off_palette=0.004)
    assert pair.summary() == (
        "5x3 (batch of 2), 1 of 19 classes: background 100 %; label space farl; 0.4 % off palette"
    )
    assert (pair.batch, pair.height, pair.width) == (2, 3, 5)
