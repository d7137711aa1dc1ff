"""Recognises files that are not what their ending says: web pages, Git LFS pointers, archives, other formats."""

from __future__ import annotations

from pathlib import Path

_HEAD = 512

_BINARY = (
    (b"GGUF", "a GGUF file, which is read by ComfyUI's GGUF loaders only"),
    (b"\x1f\x8b", "a file packed by gzip: unpack it"),
    (b"7z\xbc\xaf", "a 7-Zip archive: unpack it"),
    (b"Rar!", "a RAR archive: unpack it"),
    (b"\x89PNG", "a picture, not weights"),
    (b"\xff\xd8\xff", "a picture, not weights"),
    (b"RIFF", "a picture or a sound, not weights"),
    (b"%PDF", "a PDF document, not weights"),
    (b"\x89HDF", "weights of TensorFlow (HDF5)"),
)


def other_kind(path: Path, safe: bool) -> str | None:
    """Say what a file is instead of weights, and what to do. None if it may be what its ending says.

    safe: whether its ending is that of a .safetensors.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD)
    for mark, kind in _BINARY:
        if head.startswith(mark):
            return kind
    if safe and head.startswith(b"PK\x03\x04"):
        return "a PyTorch file (.pt) or another zip archive, not a .safetensors file"
    if not safe and _is_safetensors(head, path.stat().st_size):
        return "a .safetensors file by its contents: rename it"
    return _text(head)


def _is_safetensors(head: bytes, size: int) -> bool:
    """Whether the first eight bytes are the length of a table that follows."""
    return len(head) > 8 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < size


def _text(head: bytes) -> str | None:
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    # Weights begin with a small number or with a pickle's first bytes; no text does.
    if len(start) < 8 or not all(32 <= byte < 127 or byte in b"\t\r\n" for byte in start[:16]):
        return None
    if start.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS, not the weights themselves: run `git lfs pull` in its repository, or download it"
    if start[:1] == b"<":
        return "a web page, not the weights: the download needs an account or another address"
    return f"a text that begins with {start[:40].decode()!r}, not weights: download it again"
