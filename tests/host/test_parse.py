"""Parse Face, Align Face, Unalign Face and Mask Score in ComfyUI, with the toy judge as the parser."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from support.places import DATA
from torch import Tensor

MASKS = DATA / "masks"
JUDGE = "toy_judge.safetensors"


@pytest.fixture(scope="module")
def folder(models_folder: Path) -> Path:
    made = models_folder / "face_parsing"
    made.mkdir(exist_ok=True)
    return made


@pytest.fixture(scope="module")
def judge(comfy, folder: Path) -> Path:
    """A judge with random weights where `mogle toy install` puts it."""
    torch.manual_seed(0)
    judge = comfy.module("mogle_core.toy.judge").Judge()
    save_file({name: tensor.half() for name, tensor in judge.state_dict().items()}, folder / JUDGE)
    return folder / JUDGE


@pytest.fixture
def stored(comfy) -> Tensor:
    """A portrait's ids (1, 512, 512)."""
    return comfy.module("mogle_core.masks.decouple").decode_image(Image.open(MASKS / "mm_celeba_27000.png")).ids


@pytest.fixture
def colours(comfy):
    return comfy.module("mogle_core.masks.decouple").colours


@pytest.fixture
def decoded(comfy):
    return lambda mask: comfy.module("mogle_core.masks.decouple").decode_tensor(mask).ids


@pytest.fixture
def answers(comfy, folder: Path, monkeypatch):
    """After answers(ids), every parser returns these ids."""

    def answer(ids: Tensor) -> None:
        monkeypatch.setattr(comfy.module("nodes.parse").host, "parse", lambda name, image: ids.clone())

    return answer


def photos(count: int = 1, height: int = 96, width: int = 160) -> Tensor:
    return torch.rand(count, height, width, 3, generator=torch.Generator().manual_seed(0))


def test_the_judge_parses_a_batch_at_the_photos_size(comfy, judge: Path, decoded) -> None:
    image = photos(2)
    mask, preview, _ = comfy.node("MoGLEParseFace")(image=image, parser_name=JUDGE, fix_left_right=False)
    expected = comfy.module("mogle_core.parse.files").read_parser(judge)(image)
    assert len(expected.unique()) > 2
    assert torch.equal(decoded(mask), expected)
    torch.testing.assert_close(preview, (image + mask) / 2)


def test_the_parser_is_under_comfyuis_memory_management(comfy, judge: Path) -> None:
    import comfy.model_management as management

    def held() -> list[str]:
        return [type(loaded.model.model).__name__ for loaded in management.current_loaded_models if loaded.model]

    management.unload_all_models()
    assert "Judge" not in held()
    run = comfy.node("MoGLEParseFace")
    first = run(image=photos(), parser_name=JUDGE)[0]
    assert held() == ["Judge"]
    management.unload_all_models()
    assert torch.equal(run(image=photos(), parser_name=JUDGE)[0], first)


def test_layers_that_the_loader_left_on_the_host_are_moved(comfy, judge: Path) -> None:
    """On a full card ComfyUI leaves our layers in host memory. Here `meta` stands for the card."""
    parsers = comfy.module("nodes.host.parsers")
    parser = comfy.module("mogle_core.parse.files").read_parser(judge)
    patcher = parsers.patcher(parser.module, (parsers.parser_patcher, (str(judge),)))
    assert parsers.LoadedParser(parser, patcher).on_device() is parser
    elsewhere = SimpleNamespace(load_device=torch.device("meta"))
    loading = pytest.MonkeyPatch()
    loading.setattr(parsers.comfy.model_management, "load_models_gpu", lambda *_, **__: None)
    moved = parsers.LoadedParser(parser, elsewhere).on_device()
    loading.undo()
    assert {weight.device.type for weight in moved.module.parameters()} == {"meta"}
    assert {weight.device.type for weight in parser.module.parameters()} == {"cpu"}


def test_another_device_gets_another_parser(comfy, judge: Path) -> None:
    parsers = comfy.module("nodes.host.parsers")
    again = parsers.parser_patcher(str(judge), disable_dynamic=True)
    assert type(again.model).__name__ == "Judge"


def test_a_replaced_file_is_read_again(comfy, judge: Path) -> None:
    run = comfy.node("MoGLEParseFace")
    before = run(image=photos(), parser_name=JUDGE)[0]
    held = judge.read_bytes()
    torch.manual_seed(7)
    save_file(comfy.module("mogle_core.toy.judge").Judge().state_dict(), judge)
    try:
        assert not torch.equal(run(image=photos(), parser_name=JUDGE)[0], before)
    finally:
        judge.write_bytes(held)


def test_sides_are_repaired_unless_that_is_off(comfy, answers, stored, decoded) -> None:
    swapped = comfy.module("mogle_core.masks.decouple").flip(stored.flip(-1))
    answers(swapped)
    run = comfy.node("MoGLEParseFace")
    image = torch.zeros(1, 512, 512, 3)
    assert torch.equal(decoded(run(image=image, parser_name="any")[0]), stored)
    assert torch.equal(decoded(run(image=image, parser_name="any", fix_left_right=False)[0]), swapped)


def test_undecided_sides_are_reported(comfy, answers, caplog) -> None:
    ids = torch.zeros(1, 32, 32, dtype=torch.uint8)
    ids[0, 4:8, 4:8] = 4
    answers(ids)
    with caplog.at_level(logging.WARNING):
        _, _, undecided = comfy.node("MoGLEParseFace")(image=torch.zeros(1, 32, 32, 3), parser_name="any")
    assert undecided.startswith("eyes could not be told left from right")
    assert f"Parse Face: {undecided}" in caplog.text


def test_the_combo_offers_folders_and_files(comfy, judge: Path, folder: Path) -> None:
    (folder / "some").mkdir(exist_ok=True)
    (folder / "some/model.safetensors").touch()
    (folder / "notes.txt").touch()
    (folder / "detector.onnx").touch()
    import nodes

    for node in ("MoGLEParseFace", "MoGLEMaskScore"):
        inputs = nodes.NODE_CLASS_MAPPINGS[node].INPUT_TYPES()
        kind, options = (inputs["required"] | inputs["optional"])["parser_name"]
        offered = kind if isinstance(kind, list) else options["options"]
        assert {JUDGE, "some"} <= set(offered)
        assert not {"notes.txt", "detector.onnx", "some/model.safetensors"} & set(offered)


def test_a_missing_parser_is_an_error_message(comfy, judge: Path, stored, colours, monkeypatch) -> None:
    import nodes

    check = nodes.NODE_CLASS_MAPPINGS["MoGLEParseFace"].validate_inputs
    assert check(JUDGE) is True
    sentence = check("bisenet")
    assert sentence.startswith("models/face_parsing has no parser 'bisenet'. Put config.json and model.safetensors of ")
    assert "huggingface.co/jonathandinu/face-parsing into models/face_parsing/face-parsing" in sentence
    assert JUDGE in sentence
    with pytest.raises(ValueError, match="no parser 'bisenet'.*jonathandinu"):
        comfy.node("MoGLEMaskScore")(mask=colours(stored), image=photos(), parser_name="bisenet")
    monkeypatch.setattr(comfy.module("nodes.host.parsers"), "parser_choices", dict)
    assert check("any").startswith("models/face_parsing holds no face parser yet. Put config.json")


def test_from_photo_to_aligned_face_and_back(comfy, stored, colours, decoded) -> None:
    image = torch.rand(1, 512, 512, 3)
    face, mask, crop = comfy.node("MoGLEAlignFace")(image=image, mask=colours(stored), size=256)
    align = comfy.module("mogle_core.parse.align")
    expected = align.crop_of_mask(stored[0])
    assert crop == (expected,)
    assert torch.equal(face, align.align(image, crop, 256))
    assert torch.equal(decoded(mask), align.align_ids(stored, crop, 256))
    (pasted,) = comfy.node("MoGLEUnalignFace")(image=face, crop=crop, photo=image, feather=0.1)
    assert torch.equal(pasted, align.unalign(face, image, crop, 0.1))
    assert torch.equal(pasted[:, :10], image[:, :10])


def test_a_detector_takes_precedence_over_the_mask(comfy, folder: Path, stored, colours, monkeypatch) -> None:
    """YuNet's model file exists, and an OpenCV that finds a face with it."""
    detector = folder / "face_detection_yunet_2023mar.onnx"
    run = comfy.node("MoGLEAlignFace")
    face = np.array([[0, 0, 90, 90, 120, 80, 160, 80, 140, 100, 126, 120, 154, 120, 0.9]], np.float32)
    found = SimpleNamespace(detect=lambda picture: (1, face))
    opencv = SimpleNamespace(FaceDetectorYN=SimpleNamespace(create=lambda *_: found))
    image = torch.zeros(1, 640, 640, 3)
    with pytest.raises(ValueError, match="nothing to find the face by.*models/face_detection"):
        run(image=image, size=64)
    detector.touch()
    monkeypatch.setitem(sys.modules, "cv2", opencv)
    try:
        by_detector = run(image=image, mask=colours(stored), size=64)[2]
        by_mask = run(image=image, mask=colours(stored), size=64, detector="mask")[2]
        _, mask, alone = run(image=image, size=64)
    finally:
        detector.unlink()
    assert by_detector == alone != by_mask
    assert by_detector[0].side == pytest.approx(160)
    assert not mask.any()


def test_a_face_of_another_photo_is_refused(comfy, stored, colours) -> None:
    face, _, crop = comfy.node("MoGLEAlignFace")(image=torch.rand(1, 512, 512, 3), mask=colours(stored), size=64)
    with pytest.raises(ValueError, match="photo of 512x512 pixels, but this photo has 160x96"):
        comfy.node("MoGLEUnalignFace")(image=face, crop=crop, photo=photos(), feather=0.1)


def test_mask_score_of_label_maps(comfy, stored, colours) -> None:
    worse = stored.clone()
    worse[:, :100] = 0
    parsed = colours(torch.cat((worse, stored)))
    score, table, difference, best = comfy.node("MoGLEMaskScore")(mask=colours(stored), parsed=parsed)
    assert best == 1
    assert 0.5 < score < 1
    assert "| 1 | 1.000 | 1.000 | 1.000 | 1.000 |" in table.splitlines()
    assert difference.shape == (2, 512, 512, 3)
    wrong = (worse != stored)[0]
    assert (difference[0][wrong] == 0).all() and (difference[0][~wrong] >= 0.6).all()


def test_mask_score_parses_the_pictures(comfy, judge: Path) -> None:
    image = photos(2)
    mask = comfy.node("MoGLEParseFace")(image=image, parser_name=JUDGE, fix_left_right=False)[0]
    score, _, _, best = comfy.node("MoGLEMaskScore")(mask=mask, image=image, parser_name=JUDGE)
    assert (score, best) == (1, 0)


@pytest.mark.parametrize("given", [{}, {"image": photos(), "parsed": photos()}], ids=["neither", "both"])
def test_mask_score_takes_pictures_or_label_maps(given, comfy, colours, stored) -> None:
    with pytest.raises(ValueError, match="with image or with parsed: connect one of the two"):
        comfy.node("MoGLEMaskScore")(mask=colours(stored), **given)
