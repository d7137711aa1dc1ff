"""Detects eyes and mouth by OpenCV's YuNet (Wu et al., 2023), if OpenCV and the model file are installed."""

from __future__ import annotations

import importlib
import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .align import Landmarks

logger = logging.getLogger(__name__)

FILE = "face_detection_yunet_2023mar.onnx"
PUBLISHED = "github.com/opencv/opencv_zoo"

SIDES = (640, 320)
"""Longer sides at which to search: YuNet only sees a face that fills a large picture after shrinking."""


def detect(picture: NDArray[np.uint8], model: Path | str) -> Landmarks | None:
    """The largest face of a picture (H, W, 3) RGB; None without a face, or without OpenCV."""
    try:
        cv2 = importlib.import_module("cv2")
    except ImportError:
        logger.warning("%s is there, but OpenCV is not (pip install opencv-python-headless).", Path(model).name)
        return None
    for side in SIDES:
        found = _detect(cv2, picture, str(model), side)
        if found is not None:
            return found
    return None


def _detect(cv2: Any, picture: NDArray[np.uint8], model: str, side: int) -> Landmarks | None:
    height, width = picture.shape[:2]
    scale = side / max(height, width)
    seen = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = np.array(Image.fromarray(picture).resize(seen, Image.Resampling.BILINEAR))
    detector = cv2.FaceDetectorYN.create(model, "", seen)
    _, faces = detector.detect(np.ascontiguousarray(small[..., ::-1]))  # BGR
    if faces is None or not len(faces):
        return None
    return landmarks_of(max(faces, key=lambda face: face[2] * face[3]), width / seen[0], height / seen[1])


def landmarks_of(face: NDArray[np.float32], across: float = 1.0, down: float = 1.0) -> Landmarks:
    """The landmarks of a row of YuNet's result (15,), scaled by two factors.

    After the box (x, y, width, height) come the subject's right eye, left eye, nose tip, and the right and
    left corner of the mouth, each (x, y); then the score.
    """
    right_eye, left_eye, _, *corners = ((float(x) * across, float(y) * down) for x, y in face[4:14].reshape(5, 2))
    mouth = ((corners[0][0] + corners[1][0]) / 2, (corners[0][1] + corners[1][1]) / 2)
    return Landmarks(left_eye, right_eye, mouth)
