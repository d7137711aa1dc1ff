"""Which numbers are ids, what the others look like, and when a map is read with a warning."""

from __future__ import annotations

import logging
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from support.places import DATA

from mogle_core.masks.decode import MaskError, decode_image, decode_tensor
from mogle_core.masks.labels import CLASS_NAMES, GUESSED, LABEL_SPACES

FIELD = DATA / "field"
MASKS = DATA / "masks"
NAMES = ["mm_celeba_27000", "portrait_a", "portrait_hat"]


def ids_of(name: str = "portrait_hat") -> np.ndarray:
    return decode_image(Image.open(MASKS / f"{name}.png")).ids[0].numpy()


def in_space(ids: np.ndarray, space: str) -> np.ndarray:
    """The ids that a parser of the space would store; what it lacks is background."""
    table = np.zeros(19, np.uint8)
    for number, class_id in reversed(list(enumerate(LABEL_SPACES[space]))):
        table[class_id] = number
    return table[ids]


@pytest.mark.parametrize("name", NAMES)
def test_ids_stretched_to_sixteen_bits_are_read(name: str) -> None:
    ids = ids_of(name)
    for mode in (np.uint16, np.int32):
        assert np.array_equal(decode_image(Image.fromarray((ids * 257.0).astype(mode))).ids[0], ids)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda ids: ids.astype(np.uint16) * 256, "multiples of 256.*Divide"),
        (lambda ids: ids * np.uint8(13), "multiples of 13.*Divide"),
        (lambda ids: ids * np.uint8(10), "multiples of 10.*Divide"),
        (lambda ids: (ids / 255).astype(np.float32), "divided by 255.*multiply"),
        (lambda ids: np.pad(ids, 8, constant_values=255), "hold 255.*0 for background"),
        (lambda ids: np.where(ids == 13, 255, ids).astype(np.uint8), "% of the mask's pixels hold 255"),
        (lambda ids: ids + np.uint8(10), "ids up to"),
        (lambda ids: np.where(ids > 0, 255, 0).astype(np.uint8), "black-and-white"),
        (lambda ids: -ids.astype(np.int32), "not ids"),
        (lambda ids: np.where(ids > 5, np.nan, ids).astype(np.float32), "NaN"),
    ],
)
def test_numbers_that_are_no_ids_have_a_sentence_each(change, sentence: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(MaskError, match=sentence):
        decode_image(Image.fromarray(change(ids_of())))


@pytest.mark.parametrize(("form", "options"), [("JPEG", {"quality": 95}), ("JPEG", {}), ("WEBP", {"quality": 90})])
@pytest.mark.parametrize("name", NAMES)
def test_lossily_stored_ids_are_refused(form: str, options: dict[str, int], name: str) -> None:
    buffer = BytesIO()
    Image.fromarray(ids_of(name)).save(buffer, form, **options)
    with pytest.raises(MaskError, match="lossily"):
        decode_image(Image.open(buffer))


def test_ids_in_a_lossless_webp_are_read() -> None:
    buffer = BytesIO()
    Image.fromarray(ids_of()).save(buffer, "WEBP", lossless=True)
    assert np.array_equal(decode_image(Image.open(buffer)).ids[0], ids_of())


@pytest.mark.parametrize(
    "drawn", [(17,), (13,), (1,), (1, 13), (1, 2), (16, 17)], ids=lambda drawn: "-".join(map(str, drawn))
)
def test_one_or_two_classes_are_not_guessed(drawn: tuple[int, ...]) -> None:
    ids = np.zeros((64, 64), np.uint8)
    for inset, number in enumerate(drawn, 1):
        ids[8 * inset : -8 * inset, 8 * inset : -8 * inset] = number
    for picture in (Image.fromarray(ids), Image.fromarray(np.stack([ids] * 3, -1))):
        with pytest.raises(MaskError, match=f"only ids? {' and '.join(map(str, drawn))}.*Choose the label space"):
            decode_image(picture)
    assert set(decode_image(Image.fromarray(ids), "bisenet").ids.unique().tolist()) == {
        0,
        *(LABEL_SPACES["bisenet"][number] for number in drawn),
    }


def test_the_sentence_says_what_the_ids_would_be() -> None:
    with pytest.raises(MaskError, match="celebamask: neck; farl: ear_r; bisenet: hair"):
        decode_image(Image.open(FIELD / "zllrunning_hair.png"))


def test_a_black_map_is_background_in_every_space(caplog: pytest.LogCaptureFixture) -> None:
    assert decode_tensor(torch.zeros(1, 16, 16, 3)).ids.eq(0).all()
    assert caplog.text == ""


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("space", GUESSED[:3])
@pytest.mark.parametrize("half", ["top", "bottom", "left"])
def test_a_crop_is_read_rightly_or_with_a_warning(
    name: str, space: str, half: str, caplog: pytest.LogCaptureFixture
) -> None:
    raw = in_space(ids_of(name), space)
    middle = len(raw) // 2
    crop = {"top": raw[:middle], "bottom": raw[middle:], "left": raw[:, :middle]}[half]
    try:
        decoded = decode_image(Image.fromarray(crop))
    except MaskError as error:
        assert "too little to guess" in str(error)
        return
    assert decoded.label_space == space or "keeps only" in caplog.text


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("turn", ["upside down", "on its side", "e4s", "easyportrait", "facesynthetics"])
def test_what_auto_does_not_know_is_read_with_a_warning(name: str, turn: str, caplog: pytest.LogCaptureFixture) -> None:
    ids = ids_of(name)
    raw = {"upside down": np.flipud(ids), "on its side": np.rot90(ids)}.get(turn)
    raw = in_space(ids, turn) if raw is None else raw.copy()
    decode_image(Image.fromarray(raw))
    assert "keeps only" in caplog.text
    if turn == "upside down":
        assert "upside down it is a face" in caplog.text
    elif turn in LABEL_SPACES:
        assert turn in caplog.text


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("space", ["celebamask", "farl", "bisenet", "lapa"])
@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_face_has_a_warning_in_every_space(
    name: str, space: str, turns: int, caplog: pytest.LogCaptureFixture
) -> None:
    decode_image(Image.fromarray(np.rot90(in_space(ids_of(name), space), turns).copy()))
    back = {1: "a quarter to the right", 2: "upside down", 3: "a quarter to the left"}[turns]
    assert f"Turned {back} it is a face" in caplog.text


@pytest.mark.parametrize("space", LABEL_SPACES)
def test_a_face_in_its_space_has_no_warning(space: str, caplog: pytest.LogCaptureFixture) -> None:
    if space == "mediapipe":  # it has no nose, eyes or lips, which would be background in the middle of the face
        return
    with caplog.at_level(logging.WARNING):
        decoded = decode_image(Image.fromarray(in_space(ids_of("portrait_a"), space)), space)
    assert caplog.text == ""
    assert decoded.doubt() is None


@pytest.mark.parametrize("wrong", ["farl", "bisenet", "facesynthetics"])
def test_a_wrongly_chosen_space_has_a_warning_that_names_the_right_one(
    wrong: str, caplog: pytest.LogCaptureFixture
) -> None:
    decoded = decode_image(Image.fromarray(ids_of("portrait_a")), wrong)
    assert "In celebamask" in caplog.text
    assert decoded.doubt() is not None


def test_colours_have_a_doubt_that_does_not_reach_the_log(caplog: pytest.LogCaptureFixture) -> None:
    picture = Image.open(MASKS / "portrait_a.png").convert("RGB")
    assert decode_image(picture).doubt() is None
    assert "upside down it is a face" in str(decode_image(picture.transpose(Image.Transpose.FLIP_TOP_BOTTOM)).doubt())
    assert caplog.text == ""


@pytest.mark.parametrize("orientation", [2, 3, 6, 8])
@pytest.mark.parametrize("colours", [True, False])
def test_exif_turns_a_mask_as_it_turns_a_photo(orientation: int, colours: bool) -> None:
    from PIL import ImageOps

    picture = Image.open(MASKS / "portrait_a.png")
    stored = picture.convert("RGB") if colours else Image.fromarray(ids_of("portrait_a"))
    notes = Image.Exif()
    notes[0x0112] = orientation
    buffer = BytesIO()
    stored.save(buffer, "PNG", exif=notes)
    upright = ImageOps.exif_transpose(Image.open(buffer))
    space = "celebamask"
    assert torch.equal(decode_image(Image.open(buffer), space).ids, decode_image(upright, space).ids)
    assert not torch.equal(decode_image(upright, space).ids[0, :256], decode_image(stored, space).ids[0, :256])


def test_every_class_of_the_new_spaces_is_a_class() -> None:
    for space in ("ibugmask", "easyportrait", "facesynthetics", "helen", "e4s"):
        assert all(0 <= class_id < len(CLASS_NAMES) for class_id in LABEL_SPACES[space])
        assert LABEL_SPACES[space][0] == 0
    assert [len(LABEL_SPACES[s]) for s in ("ibugmask", "easyportrait", "facesynthetics", "helen", "e4s")] == [
        14,
        9,
        19,
        11,
        12,
    ]


PSGAN = (0, 1, 7, 6, 5, 4, 2, 11, 10, 12, 13, 9, 8, 17)
"""A numbering of makeup transfer: skin, brows, eyes, nose, upper lip, mouth, lower lip, hair, ears, neck."""


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("numbering", ["makeup", "ibugmask", "helen"])
def test_a_numbering_near_a_known_one_is_read_rightly_or_with_a_warning(
    name: str, numbering: str, caplog: pytest.LogCaptureFixture
) -> None:
    table = PSGAN if numbering == "makeup" else LABEL_SPACES[numbering]
    ids, numbers = ids_of(name), np.zeros(19, np.uint8)
    for number, class_id in reversed(list(enumerate(table))):
        numbers[class_id] = number
    raw = numbers[ids]
    right = np.isin(ids, table) * ids
    decoded = decode_image(Image.fromarray(raw))
    wrong = (decoded.ids[0].numpy() != right).mean()
    assert wrong < 0.001 or "keeps only" in caplog.text
    if numbering == "helen":
        assert wrong == 0


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (2, 1, 0)])
@pytest.mark.parametrize("name", NAMES)
def test_background_skin_and_hair_alone_are_not_guessed(name: str, order: tuple[int, int, int]) -> None:
    """As Labeled Faces in the Wild has them."""
    ids = ids_of(name)
    raw = np.full_like(ids, order[0])
    raw[np.isin(ids, (*range(1, 13), 17))] = order[1]
    raw[ids == 13] = order[2]
    with pytest.raises(MaskError, match="only ids 1 and 2.*Choose the label space"):
        decode_image(Image.fromarray(raw))
