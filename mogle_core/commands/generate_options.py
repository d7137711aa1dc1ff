"""The options of `mogle generate`."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..support.arguments import number, real
from .cluster_options import add_cluster_options


def add_options(command: argparse.ArgumentParser) -> None:
    _add_jobs(command.add_argument_group("what to make"))
    _add_settings(command.add_argument_group("how"))
    _add_models(command.add_argument_group("weights on disk"))
    _add_servers(
        command.add_argument_group("or running ComfyUI servers; --transformer and the others then name models there")
    )
    _add_output(command.add_argument_group("output"))
    _add_until_sure(command.add_argument_group("as many as FID needs"))
    add_cluster_options(command)
    command.add_argument(
        "--write-there", action="store_true", help="with --cluster: workers write the pictures into a shared folder"
    )


def _add_jobs(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "source", nargs="?", type=Path, help="a data set, a folder of masks, or a table of jobs (.csv, .jsonl)"
    )
    group.add_argument("--prompts", help="a file with a line for each job, captions by name, or one prompt for all")
    group.add_argument(
        "--sketches", type=Path, metavar="DIR", help="drawings with the jobs' names; alone, each of them is a job"
    )
    group.add_argument("--landmarks", type=Path, metavar="DIR", help="drawn landmarks or label maps, likewise")
    group.add_argument(
        "--mode", choices=("both", "mask", "text"), default="both", help="text leaves the masks out (default: both)"
    )
    group.add_argument("--layout", default="auto", help="of the data set (default: auto)")
    group.add_argument("--split", choices=("all", "train", "test"), default="all", help="(default: all)")
    group.add_argument(
        "--seed", type=int, default=0, help="each picture's seed is derived from this and its name (default: 0)"
    )
    group.add_argument("--copies", type=int, default=1, help="pictures of each job, with different seeds (default: 1)")
    group.add_argument("--shard", help="i/n: this run's share, counted from 0 (default: all, or what accelerate says)")


def _add_settings(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--size", help="WIDTHxHEIGHT, or one number (default: 512; toy: 128)")
    group.add_argument("--steps", type=number(1, 10_000), help="(default: 28; toy: 20)")
    group.add_argument("--guidance", type=real(0, 1000), help="(default: 3.5; toy: 1)")
    group.add_argument(
        "--mask-guidance",
        choices=("image", "1"),
        default="image",
        help="guidance of the mask stream (default: the image's)",
    )
    group.add_argument(
        "--strength", type=float, default=1.0, help="how strongly the picture follows the mask, 0 to 2 (default: 1)"
    )
    group.add_argument(
        "--refresh-every",
        type=number(0, 10_000),
        default=1,
        help="compute the mask stream every N steps, 0: once a run (default: 1, exact)",
    )
    group.add_argument(
        "--refresh-schedule",
        choices=("even", "dense early", "early, then once", "adaptive"),
        default="even",
        help="when the mask stream is computed (default: even)",
    )
    group.add_argument(
        "--mask-tokens",
        choices=("full", "half", "merged"),
        default="full",
        help="merged: fewer inside of regions; half: a quarter (default: full, exact)",
    )
    group.add_argument("--label-space", default="auto", help="of the stored masks (default: auto)")
    group.add_argument("--official-compat", action="store_true", help="make what the official script makes")


def _add_models(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--toy", action="store_true", help="use the embedded toy weights; --mogle may name another network"
    )
    group.add_argument("--transformer", help="FLUX.1's .safetensors or diffusers' folder")
    group.add_argument("--vae", help="ae.safetensors or a folder")
    group.add_argument("--clip-l", help="clip_l.safetensors or a folder")
    group.add_argument("--t5xxl", help="t5xxl_fp16.safetensors or a folder")
    group.add_argument("--tokenizers", type=Path, help="a folder that contains both tokenizers")
    group.add_argument("--mogle", help="Face-MoGLE's network, or the file that holds network and LoRA")
    group.add_argument("--lora", help="Face-MoGLE's LoRA, if it is a separate file")
    group.add_argument("--base-dtype", choices=("bf16", "float32", "fp8", "int8", "nf4"), help="(default: bf16)")
    group.add_argument(
        "--offload-blocks", type=number(0, 1000), default=0, help="blocks kept in host memory (default: 0)"
    )
    group.add_argument("--device", help="(default: a GPU if there is one)")
    group.add_argument("--batch", type=int, default=1, help="pictures at a time (default: 1)")
    group.add_argument(
        "--one-pass",
        action="store_true",
        help="one forward pass for a whole batch: pictures then agree to rounding only",
    )


def _add_servers(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--server", action="append", metavar="URL", help="a server; may be given several times")


def _add_output(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--out", type=Path, required=True, help="folder for the pictures and the manifest")
    group.add_argument("--format", choices=("png", "jpeg"), default="png", help="(default: png)")
    group.add_argument("--quality", type=int, default=95, help="quality of JPEG files (default: 95)")
    group.add_argument("--replace", action="store_true", help="make pictures again that were made with other settings")
    group.add_argument("--strict", action="store_true", help="stop at the first failure")


def _add_until_sure(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--until-sure",
        type=real(1e-9, 1e9),
        metavar="BAND",
        help="make a growing random sample of the jobs until FID is known to +- BAND (95 %%)",
    )
    group.add_argument("--real", type=Path, help="folder of the photos that FID compares with")
    group.add_argument("--inception", metavar="SOURCE", help="the network for FID, as in `mogle evaluate`")
