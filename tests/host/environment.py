"""Makes a virtual environment in which a given ComfyUI starts and in which this project's tests run.

    python tests/host/environment.py COMFYUI VENV

Needs only the standard library and pip. An existing environment is completed. It stays as it is if its stamp
says that nothing has changed since.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
CONSTRAINTS = REPOSITORY / "constraints.txt"
SHIM = HERE / "torchvision_operators.py"
STAMP = "face-mogle-host-tests.stamp"

# The releases that belong to the torch of constraints.txt. Installed without their dependencies, because
# torchaudio names a torch of its own, and an unpinned one brings several gigabytes of CUDA.
TORCH_COMPANIONS = ("torchvision==0.28.0", "torchaudio==2.11.0")
# ComfyUI imports it without declaring it (0.3.64), and nothing that it declares brings it any more.
UNDECLARED = ("requests",)
_TORCH_FAMILY = re.compile(r"^(torch|torchvision|torchaudio)\s*([<>=!~;\[].*)?$")


def python_of(venv: Path) -> Path:
    """The interpreter of a virtual environment, on POSIX or Windows."""
    return venv / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def requirements_of(host: Path) -> list[str]:
    """The requirements of the ComfyUI at `host`, without torch and its companions, which are pinned here."""
    lines = (line.strip() for line in (host / "requirements.txt").read_text("utf-8").splitlines())
    return [line for line in lines if line and not line.startswith("#") and not _TORCH_FAMILY.match(line)]


def stamp_of(host: Path) -> str:
    """Changes whenever the inputs from which the environment was made change."""
    digest = hashlib.sha256(sys.version.encode())
    made_from = (host / "requirements.txt", CONSTRAINTS, REPOSITORY / "pyproject.toml", Path(__file__), SHIM)
    for path in made_from:
        digest.update(path.read_bytes())
    digest.update(str(REPOSITORY).encode())  # the editable install points here
    return digest.hexdigest()


def run(venv: Path, *arguments: str) -> None:
    """Runs the environment's Python. If it fails, stops with the command's message."""
    subprocess.run([python_of(venv), *arguments], check=True)


def pip_install(venv: Path, *arguments: str) -> None:
    run(venv, "-m", "pip", "install", "--quiet", *arguments)


def install(host: Path, venv: Path) -> None:
    """Installs torch first, so that nothing after it chooses another build."""
    if not python_of(venv).exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    pip_install(venv, "-c", str(CONSTRAINTS), "torch")
    pip_install(venv, "--no-deps", *TORCH_COMPANIONS)
    with tempfile.TemporaryDirectory() as folder:
        listing = Path(folder) / "requirements.txt"
        listing.write_text("\n".join([*requirements_of(host), *UNDECLARED]), "utf-8")
        pip_install(venv, "-c", str(CONSTRAINTS), "-r", str(listing), "-e", f"{REPOSITORY}[test]")


def printed(venv: Path, program: str) -> str:
    """What `program` prints in the environment, or nothing if it fails."""
    done = subprocess.run([python_of(venv), "-c", program], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def cure(venv: Path) -> None:
    """Makes torchvision and torchaudio importable beside a torch without CUDA, and leaves working ones alone.

    torchaudio without its compiled libraries uses its Python path; for torchvision the operators are declared.
    """
    if printed(venv, "import torch; print(torch.version.cuda or torch.version.hip)") != "None":
        return
    packages = Path(printed(venv, "import sysconfig; print(sysconfig.get_path('purelib'))"))
    if not printed(venv, "import torchvision; print('imports')"):
        shutil.copy(SHIM, packages / SHIM.name)
        (packages / f"{SHIM.stem}.pth").write_text(f"import {SHIM.stem}\n", "utf-8")
    if not printed(venv, "import torchaudio; print('imports')"):
        for library in (packages / "torchaudio/lib").glob("*.so"):
            library.unlink()
    run(venv, "-c", "import torchvision, torchaudio")


def prepare(host: Path, venv: Path) -> Path:
    """The interpreter of an environment for `host`, which is made or completed at `venv` if necessary."""
    stamp = venv / STAMP
    wanted = stamp_of(host)
    if stamp.exists() and stamp.read_text("utf-8") == wanted:
        return python_of(venv)
    install(host, venv)
    cure(venv)
    stamp.write_text(wanted, "utf-8")
    return python_of(venv)


def main(arguments: list[str]) -> int:
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    host, venv = (Path(argument).expanduser().resolve() for argument in arguments)
    if not (host / "requirements.txt").is_file():
        complaint = f"{host} is not a ComfyUI: it has no requirements.txt. Give the folder with main.py."
        print(complaint, file=sys.stderr)
        return 2
    print(prepare(host, venv))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
