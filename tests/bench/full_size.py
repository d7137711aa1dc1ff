"""FLUX.1-dev's real size once, on a CPU: files with random weights, ComfyUI's stock loaders, and `mogle`.

    COMFYUI_PATH=~/ComfyUI python tests/bench/full_size.py DIR [--size 256] [--keep]

Run it by hand, in an environment in which that ComfyUI starts: it writes 18 GB to DIR, takes some minutes, needs 17 GB
of free memory, and removes the files. Everything runs in a process of its own, one after the other, which is ended
when less than 1 GB of the machine's memory and swap is left. Prints what each part took: seconds, the most memory that
it held for itself, and the most with the pages of mapped files, which the system may take back.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "shared"), str(TESTS.parent)]

GIB = 2**30
PROMPT, SEED = "A woman with long brown hair, smiling.", 7
NAME = "face"


def make(folder: Path, size: int) -> None:
    from support.full_files import write_all

    files = write_all(folder / "models")
    (folder / "files.json").write_text(json.dumps({name: str(path) for name, path in files.items()}))
    shutil.copy(TESTS / "data/masks/mm_celeba_27000.png", folder / "face_mask.png")
    row = f'name,prompt,mask,seed\n{NAME},"{PROMPT}",face_mask.png,{SEED}\n'
    (folder / "jobs.csv").write_text(row)


def host(folder: Path, size: int) -> None:
    """One step through ComfyUI's stock loaders and the nodes; the latent, the picture and the text's embedding."""
    from support import hosts
    from support.in_process import boot

    comfy = boot(hosts.choose())
    import folder_paths
    from comfy.model_management import unload_all_models

    from mogle_core.generation.comfy import ComfyFiles, comfy_prompt
    from mogle_core.generation.jobs import read_jobs
    from mogle_core.generation.settings import Settings

    for kind in ("diffusion_models", "vae", "text_encoders", "mogle", "loras"):
        folder_paths.add_model_folder_path(kind, str(folder / "models" / kind), is_default=True)
    shutil.copy(folder / "face_mask.png", comfy.base / "input")
    (job,) = read_jobs(folder / "jobs.csv")
    files = ComfyFiles(**{name: Path(path).name for name, path in _files(folder).items()})
    prompt = comfy_prompt(job, Settings(width=size, height=size, steps=1, guidance=3.5), files, "face_mask.png")
    results: dict[str, Any] = {}

    def run(name: str) -> Any:
        if name not in results:
            node = prompt[name]
            inputs = {key: run(value[0])[value[1]] if isinstance(value, list) else value
                      for key, value in node["inputs"].items()}  # fmt: skip
            begun = time.monotonic()
            results[name] = comfy.node(node["class_type"])(**inputs)
            print(f"  {node['class_type']}: {time.monotonic() - begun:.1f} s", flush=True)
        return results[name]

    run("text")
    for name in ("clip", "padded", "encoded"):
        del results[name]
    unload_all_models()
    gc.collect()
    (picture,) = run("decoded")
    context, pooled = results["text"][0][0][0], results["text"][0][0][1]["pooled_output"]
    latent = results["sampler"][0]["samples"]
    model = results["unet"][0].model
    kind = next(model.diffusion_model.single_blocks[0].linear1.parameters()).dtype
    print(f"  weights in {kind}, computed in {model.manual_cast_dtype or model.get_dtype()}")
    torch.save({"context": context, "pooled": pooled, "latent": latent, "picture": picture}, folder / "host.pt")


def generate(folder: Path, size: int) -> None:
    """`mogle generate`: the same picture, its latent and text noted on the way."""
    from mogle_core.cli import main
    from mogle_core.generation import local, texts

    noted: dict[str, Any] = {}
    sample, encoded = local.sample, texts.TextStore.of

    def sampled(*args: Any, **more: Any) -> Any:
        noted["latent"] = sample(*args, **more)
        return noted["latent"]

    def text_of(store: Any, prompt: str) -> Any:
        noted["context"], noted["pooled"] = encoded(store, prompt)
        return noted["context"], noted["pooled"]

    local.sample, texts.TextStore.of = sampled, text_of  # type: ignore[assignment, method-assign]
    files = _files(folder)
    options = [f"--{name.replace('_', '-')}={path}" for name, path in files.items()]
    status = main([
        "generate", str(folder / "jobs.csv"), *options, f"--tokenizers={os.environ['COMFYUI_PATH']}",
        "--base-dtype=fp8", f"--size={size}", "--steps=1", "--device=cpu", f"--out={folder / 'out'}", "--strict",
    ])  # fmt: skip
    if status:
        raise SystemExit(status)
    from PIL import Image
    from torchvision.transforms.functional import pil_to_tensor

    noted["picture"] = pil_to_tensor(Image.open(folder / "out" / f"{NAME}.png").convert("RGB")).movedim(0, -1) / 255
    torch.save(noted, folder / "generate.pt")


def doctor(folder: Path, size: int) -> None:
    from mogle_core.cli import main

    status = main(["doctor", str(folder)])
    files = _files(folder)
    sets = [f"--set=model.{name}={files[name]}" for name in ("transformer", "vae", "clip_l", "t5xxl")]
    if status := status or main(["train", "16gb", *sets, "--dry-run"]):
        raise SystemExit(status)


def compare(folder: Path, size: int) -> None:
    from mogle_core.model.flux_latents import pack
    from mogle_core.model.sampling.sampler import noise_of

    ours, theirs = (torch.load(folder / f"{name}.pt") for name in ("generate", "host"))
    shift, scale = 0.1159, 0.3611  # of ComfyUI's latents to the model's
    noise = noise_of([SEED], size, size)
    theirs["latent"] = (theirs["latent"] - shift) * scale
    for each in (ours, theirs):
        each["velocity"] = pack(noise - each["latent"].float())
    for name in ("context", "pooled", "velocity", "latent", "picture"):
        mine, other = ours[name].float().reshape(-1), theirs[name].float().reshape(-1)
        finite = bool(mine.isfinite().all() and other.isfinite().all())
        off = float((mine - other).norm() / other.norm())
        print(f"  {name}: differ by {off:.2e} of it; every number finite: {finite}; norm {float(other.norm()):.3g}")
        if not finite:
            raise SystemExit(f"{name} holds numbers that are not finite.")
        if off > 0.05:
            raise SystemExit(f"{name} differs by more than bf16's rounding explains.")


PARTS = {part.__name__: part for part in (make, host, generate, doctor, compare)}


def _files(folder: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads((folder / "files.json").read_text())
    return found


def watched(command: list[str]) -> tuple[int, float, float, float]:
    """Status, seconds, and the most GiB held in all and without mapped files; ended when memory runs out."""
    begun, whole, own = time.monotonic(), 0.0, 0.0
    process = subprocess.Popen(command)
    # If memory runs out all the same, it is this process that the system ends.
    with contextlib.suppress(OSError):
        Path(f"/proc/{process.pid}/oom_score_adj").write_text("1000")
    while process.poll() is None:
        time.sleep(0.05)
        with contextlib.suppress(OSError, KeyError):
            status = _numbers(Path(f"/proc/{process.pid}/status"))
            whole, own = max(whole, status["VmRSS"]), max(own, status["RssAnon"])
            machine = _numbers(Path("/proc/meminfo"))
            if machine["MemAvailable"] + machine["SwapFree"] < 1:
                process.kill()
                print("  ended: less than 1 GiB of memory and swap was left", flush=True)
    return process.returncode, time.monotonic() - begun, whole, own


def _numbers(file: Path) -> dict[str, float]:
    """Lines of `Name:  123 kB`, in GiB."""
    parts = (line.split() for line in file.read_text().splitlines() if line.endswith(" kB"))
    return {name.rstrip(":"): int(count) * 1024 / GIB for name, count, _ in parts}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="an empty folder, which is removed at the end")
    parser.add_argument("--size", type=int, default=256, help="pixels a side (default: 256)")
    parser.add_argument("--keep", action="store_true", help="leave the files where they are")
    parser.add_argument("--only", choices=[*PARTS], action="append", help="one part, on files that --keep left")
    parser.add_argument("--part", choices=[*PARTS], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        PARTS[options.part](options.folder, options.size)
        return
    options.folder.mkdir(parents=True, exist_ok=True)
    lines, failed = [], False
    try:
        for part in options.only or PARTS:
            print(f"{part}:", flush=True)
            command = [sys.executable, __file__, str(options.folder), "--size", str(options.size), "--part", part]
            status, seconds, whole, own = watched(command)
            failed |= status != 0
            said = "" if status == 0 else f" FAILED ({status})"
            lines.append(f"{part:10}{seconds:8.0f} s{own:8.1f} GiB of its own{whole:8.1f} GiB in all{said}")
    finally:
        if not options.keep:
            shutil.rmtree(options.folder, ignore_errors=True)
    print("\n".join(lines))
    sys.exit(failed)


if __name__ == "__main__":
    main()
