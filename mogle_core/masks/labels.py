"""The 19 face classes, their colours, and the maps from other parsers' label spaces.

The class ids, names and palette are those of CelebAMask-HQ (Lee et al., 2020), on which Face-MoGLE was
trained. `l_` is the *subject's* left: on the picture's right.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class FaceClass:
    """One semantic class: its id in the label map, CelebAMask-HQ's name, a title, its palette colour."""

    id: int
    name: str
    title: str
    rgb: tuple[int, int, int]


CLASSES: tuple[FaceClass, ...] = (
    FaceClass(0, "background", "background", (0, 0, 0)),
    FaceClass(1, "skin", "skin", (204, 0, 0)),
    FaceClass(2, "nose", "nose", (76, 153, 0)),
    FaceClass(3, "eye_g", "glasses", (204, 204, 0)),
    FaceClass(4, "l_eye", "left eye", (51, 51, 255)),
    FaceClass(5, "r_eye", "right eye", (204, 0, 204)),
    FaceClass(6, "l_brow", "left brow", (0, 255, 255)),
    FaceClass(7, "r_brow", "right brow", (255, 204, 204)),
    FaceClass(8, "l_ear", "left ear", (102, 51, 0)),
    FaceClass(9, "r_ear", "right ear", (255, 0, 0)),
    FaceClass(10, "mouth", "inner mouth", (102, 204, 0)),
    FaceClass(11, "u_lip", "upper lip", (255, 255, 0)),
    FaceClass(12, "l_lip", "lower lip", (0, 0, 153)),
    FaceClass(13, "hair", "hair", (0, 0, 204)),
    FaceClass(14, "hat", "hat", (255, 51, 153)),
    FaceClass(15, "ear_r", "earring", (0, 204, 204)),
    FaceClass(16, "neck_l", "necklace", (0, 51, 0)),
    FaceClass(17, "neck", "neck", (255, 153, 51)),
    FaceClass(18, "cloth", "clothing", (0, 204, 0)),
)

NUM_CLASSES = len(CLASSES)

NUM_MASKS = 1 + NUM_CLASSES
"""Masks that the network takes: the full mask first, then one for each class."""

PALETTE: tuple[tuple[int, int, int], ...] = tuple(c.rgb for c in CLASSES)

CLASS_NAMES: tuple[str, ...] = tuple(c.name for c in CLASSES)

IDS: Mapping[str, int] = MappingProxyType({c.name: c.id for c in CLASSES})
"""Each class's id by CelebAMask-HQ's name."""

FLIPPED: tuple[int, ...] = (0, 1, 2, 3, 5, 4, 7, 6, 9, 8, 10, 11, 12, 13, 14, 15, 16, 17, 18)
"""The id that each class takes when the picture is mirrored: left and right eyes, brows and ears swap."""

PAIRS: tuple[tuple[int, int], ...] = tuple((left, right) for left, right in enumerate(FLIPPED) if left < right)
"""(left, right) ids of eyes, brows and ears."""

LABEL_SPACES: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        # CelebAMask-HQ, MM-CelebA-HQ, and the SegFormer `jonathandinu/face-parsing`.
        "celebamask": tuple(range(NUM_CLASSES)),
        # FaRL (facer's `farl/celebm/448`) and SegFace. facer *names* its left and right mirrored; the ids
        # below follow what its network marks, not what facer calls it.
        "farl": (0, 17, 1, 18, 8, 9, 6, 7, 4, 5, 2, 10, 12, 11, 13, 3, 14, 15, 16),
        # face-parsing.PyTorch's BiSeNet, also in facexlib. It was trained with flips that never swapped
        # labels, so its left and right are unreliable.
        "bisenet": (0, 1, 6, 7, 4, 5, 3, 8, 9, 15, 2, 10, 11, 12, 17, 16, 18, 13, 14),
        # LaPa calls the viewer's left "left".
        "lapa": (0, 1, 7, 6, 5, 4, 2, 11, 10, 12, 13),
        # MediaPipe's selfie multiclass segmenter: background, hair, body skin, face skin, clothes, others.
        "mediapipe": (0, 13, 17, 1, 18, 0),
        # iBugMask (ibug's RTNet with 14 classes): LaPa's numbering, then ears and glasses.
        "ibugmask": (0, 1, 7, 6, 5, 4, 2, 11, 10, 12, 13, 9, 8, 3),
        # EasyPortrait: background, person without the face, skin, brows, eyes, lips, teeth.
        "easyportrait": (0, 18, 1, 7, 6, 5, 4, 11, 10),
        # Microsoft's FaceSynthetics names the subject's sides. Beard is skin, facewear (masks) clothing.
        "facesynthetics": (0, 1, 2, 5, 4, 7, 6, 9, 8, 10, 11, 12, 17, 13, 1, 18, 3, 14, 18),
        # HELEN's exemplars: LaPa took the numbering over, with the viewer's left, as its label maps show.
        "helen": (0, 1, 7, 6, 5, 4, 2, 11, 10, 12, 13),
        # E4S: lips, brows, eyes, hair, nose, skin, ears, neck, inner mouth, glasses, earrings.
        "e4s": (0, 11, 7, 5, 13, 2, 1, 8, 17, 10, 3, 15),
    }
)
"""For each label space, the CelebAMask-HQ id of every source id.

Where a space has one id for both lips or for a part on both sides, the table has one of the two classes, and
`halves` puts them on their sides.
"""

GUESSED = ("celebamask", "farl", "bisenet", "lapa", "mediapipe")
"""The label spaces that `auto` chooses among; the others must be chosen by name."""

SIDED_BY_POSITION = frozenset({"ibugmask", "easyportrait", "e4s"})
"""Spaces whose left and right are one class or were not verified: position decides."""

ONE_LIP = frozenset({"easyportrait", "e4s"})
"""Spaces with one id for both lips."""
