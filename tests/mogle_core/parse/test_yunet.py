"""YuNet's results as landmarks. Its model file is not available here, so a fake detector returns data of its form."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from mogle_core.parse.align import Landmarks
from mogle_core.parse.yunet import detect, landmarks_of

# x, y, width, height; right eye, left eye, nose tip, right and left corner of the mouth; score.
SMALL = [1, 1, 10, 10, 2, 2, 6, 2, 4, 4, 3, 7, 5, 7, 0.99]
LARGE = [100, 50, 80, 90, 120, 80, 160, 82, 140, 100, 126, 120, 156, 122, 0.9]


def detector(answers: dict[int, list[list[float]]], seen: list[np.ndarray]) -> SimpleNamespace:
    """An OpenCV whose detector finds these faces in an image whose longer side has this many pixels."""

    def create(model: str, config: str, size: tuple[int, int]) -> SimpleNamespace:
        def look(picture: np.ndarray) -> tuple[int, np.ndarray | None]:
            assert picture.shape == (size[1], size[0], 3)
            seen.append(picture)
            faces = answers.get(max(size), [])
            return 1, np.array(faces, np.float32) if faces else None

        return SimpleNamespace(detect=look)

    return SimpleNamespace(FaceDetectorYN=SimpleNamespace(create=create))


def test_a_row_has_the_subjects_left_and_right() -> None:
    found = landmarks_of(np.array(LARGE, np.float32))
    assert found == Landmarks(left_eye=(160, 82), right_eye=(120, 80), mouth=(141, 121))


def test_the_largest_face_in_pixels_of_the_photo(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[np.ndarray] = []
    monkeypatch.setitem(sys.modules, "cv2", detector({640: [SMALL, LARGE]}, seen))
    picture = np.zeros((960, 1280, 3), np.uint8)
    picture[..., 0] = 255
    found = detect(picture, "model.onnx")
    assert found == Landmarks(left_eye=(320, 164), right_eye=(240, 160), mouth=(282, 242))
    assert seen[0].shape == (480, 640, 3)
    assert seen[0][0, 0].tolist() == [0, 0, 255], "OpenCV takes blue first"


def test_a_face_too_large_is_looked_for_in_a_smaller_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[np.ndarray] = []
    monkeypatch.setitem(sys.modules, "cv2", detector({320: [LARGE]}, seen))
    assert detect(np.zeros((320, 320, 3), np.uint8), "model.onnx") == landmarks_of(np.array(LARGE, np.float32))
    assert [max(picture.shape) for picture in seen] == [640, 320]
    monkeypatch.setitem(sys.modules, "cv2", detector({}, seen))
    assert detect(np.zeros((320, 320, 3), np.uint8), "model.onnx") is None


def test_without_opencv_nothing_is_detected_and_it_is_reported(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    assert detect(np.zeros((8, 8, 3), np.uint8), "folder/model.onnx") is None
    assert "model.onnx is there, but OpenCV is not" in caplog.text
