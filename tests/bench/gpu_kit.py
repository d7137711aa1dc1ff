"""Puts together what `gpu.py` needs on a machine without a network, in a folder that git ignores.

    python tests/bench/gpu_kit.py [--limit 34] [--python 3.12] [--comfyui ~/ComfyUI] [--official CHECKOUT]

ComfyUI without its history, page, tests, API nodes and blueprints; wheels of packages that such a machine lacks, the
most needed first, for its Python; the official code, if a checkout is named. CONTENTS.txt says what is in it, and
what was left out and why. `gpu.py` unpacks it and takes it where it finds it. What the machine has of the wheels'
packages comes after them; what nothing brings is a stand-in (`support/stand_ins.py`).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
MIB = 2**20
COMFYUI = ("comfy", "comfy_api", "comfy_execution", "comfy_config", "app", "utils", "api_server", "middleware")
"""Of its folders; and of the files beside them all of Python's."""
LEFT_OUT = ("__pycache__", "tests", "tests-unit", ".git")
WHEELS = (
    "pydantic", "pydantic-core", "annotated-types", "typing-inspection", "typing-extensions", "tomli-w", "prodigyopt",
    "comfy-kitchen", "psutil", "comfy-aimdo", "pillow", "diffusers", "importlib-metadata", "zipp", "requests",
    "charset-normalizer", "urllib3", "idna", "certifi", "peft", "accelerate", "rich", "bitsandbytes",
)  # fmt: skip
"""The most needed first."""
PURE = ("comfy-kitchen",)
"""Of which the wheel without compiled code is a small part of the other, and does."""
PLATFORMS = [f"manylinux_2_{minor}_x86_64" for minor in (28, 27, 24, 17, 12)] + ["manylinux2014_x86_64"]


@dataclass
class Kit:
    """limit: bytes of the folder."""

    folder: Path
    limit: int
    lines: list[str] = field(default_factory=list)

    def size(self) -> int:
        return sum(file.stat().st_size for file in self.folder.rglob("*") if file.is_file())

    def keep(self, file: Path, what: str) -> bool:
        """Move a file in if there is room for it."""
        size = file.stat().st_size
        if self.size() + size > self.limit - MIB // 16:  # for the listing
            self.leave_out(what, f"its {size / MIB:.1f} MiB do not fit")
            return False
        target = self.folder / file.name
        target.write_bytes(file.read_bytes())
        self.lines.append(f"{size / MIB:8.2f} MiB  {what} ({file.name})")
        return True

    def leave_out(self, what: str, why: str) -> None:
        self.lines.append(f"left out      {what}: {why}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=float, default=34, metavar="MIB", help="of all of it (default: 34)")
    parser.add_argument("--python", default="3.12", help="the machine's (default: 3.12)")
    parser.add_argument("--comfyui", type=Path, default=Path("~/ComfyUI"), help="(default: ~/ComfyUI)")
    parser.add_argument("--official", type=Path, help="a checkout of the official code")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "kit", help="(default: kit in the repository)")
    options = parser.parse_args()
    for old in options.out.glob("*"):
        if old.suffix in (".whl", ".zip") or old.name == "CONTENTS.txt":
            old.unlink()
    options.out.mkdir(parents=True, exist_ok=True)
    kit = Kit(options.out, int(options.limit * MIB))
    with tempfile.TemporaryDirectory() as folder:
        pack(kit, options, Path(folder))
    (kit.folder / "CONTENTS.txt").write_text("\n".join([f"for Python {options.python}", *kit.lines, ""]))
    print("\n".join(kit.lines))
    print(f"{kit.size() / MIB:8.2f} MiB  in all, of {options.limit:g}: {kit.folder}")
    return 0


def pack(kit: Kit, options: argparse.Namespace, folder: Path) -> None:
    comfyui = options.comfyui.expanduser()
    kit.keep(zipped(folder / "ComfyUI.zip", comfyui, _comfyui(comfyui)), f"ComfyUI from {comfyui.name}")
    for what in ("its history", "its page", "tests", "API nodes", "comfy_extras", "blueprints", "scripts"):
        kit.leave_out(f"ComfyUI: {what}", "no sampling run needs it")
    if options.official:
        files = [file for file in (options.official / "src").rglob("*.py")]
        kit.keep(zipped(folder / "official.zip", options.official, files), "the official code")
    else:
        kit.leave_out("the official code", "no --official names a checkout")
    for name in WHEELS:
        wheel, why = download(name, options.python, folder / "wheels")
        if wheel is None:
            kit.leave_out(name, why)
        else:
            kit.keep(wheel, name)


def _comfyui(root: Path) -> Iterable[Path]:
    yield from (file for file in root.glob("*.py"))
    yield root / "requirements.txt"
    for name in COMFYUI:
        for file in (root / name).rglob("*"):
            if file.is_file() and not any(part in LEFT_OUT for part in file.parts):
                yield file


def zipped(archive: Path, root: Path, files: Iterable[Path]) -> Path:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for file in sorted(files):
            packed.write(file, file.relative_to(root))
    return archive


def download(name: str, python: str, folder: Path) -> tuple[Path | None, str]:
    """A package's wheel for that Python on 64-bit Linux, without what it needs itself; or why there is none."""
    before = set(folder.glob("*.whl"))
    platforms = ["any"] if name in PURE else PLATFORMS
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", str(folder),
        "--python-version", python, "--implementation", "cp", *(f"--platform={one}" for one in platforms),
        _version(name),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    found = set(folder.glob("*.whl")) - before
    if done.returncode or not found:
        return None, (done.stderr.strip().splitlines() or ["pip found none"])[-1]
    return found.pop(), ""


def _version(name: str) -> str:
    """The release that is installed here, which the tests ran with."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"{name}=={version(name)}"
    except PackageNotFoundError:
        return name


def unpack(kit: Path, folder: Path) -> dict[str, str]:
    """Everything below `folder`; what the processes that use it have to be told."""
    import os

    site = folder / "site"
    for wheel in sorted(kit.glob("*.whl")):
        if fits(wheel.name):
            zipfile.ZipFile(wheel).extractall(site)
    told = {"MOGLE_KIT": str(kit)}
    for name, variable in (("ComfyUI", "COMFYUI_PATH"), ("official", "OFFICIAL_PATH")):
        if (kit / f"{name}.zip").is_file():
            zipfile.ZipFile(kit / f"{name}.zip").extractall(folder / name)
            told[variable] = str(folder / name)
    paths = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    return told | {"PYTHONPATH": os.pathsep.join(paths)}


def fits(wheel: str) -> bool:
    """Whether a wheel is for this Python: pure, of a stable interface of an earlier one, or of this very one."""
    python, interface, _ = wheel.removesuffix(".whl").split("-")[-3:]
    ours = f"cp{sys.version_info.major}{sys.version_info.minor}"
    return "py3" in python.split(".") or "abi3" in interface or ours in python.split(".")


if __name__ == "__main__":
    sys.exit(main())
