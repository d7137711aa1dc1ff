"""`mogle generate`: makes pictures for many masks and prompts."""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..support.arguments import number, real
from ..support.sentences import counted
from .cluster_options import add_cluster_options, cluster_of

if TYPE_CHECKING:  # the command's help must not wait for torch
    from ..generation.backend import Backend
    from ..generation.jobs import Job
    from ..generation.models import Sources
    from ..generation.run import Output
    from ..generation.settings import Settings
    from ..support.cluster import Cluster


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


def run(options: argparse.Namespace) -> Iterator[str]:
    """Make the pictures; yield the lines to print. Raises ValueError at the end if any failed."""
    if options.until_sure is not None:
        yield from _until_sure(options)
        return
    yield from _all(options)


def _all(options: argparse.Namespace) -> Iterator[str]:
    from ..generation.backend import BackendError
    from ..generation.run import generate

    settings = settings_of(options)
    output = output_of(options)
    jobs = jobs_of(options)
    backend = backend_of(options)
    try:
        count = Counter(outcome.status for outcome in generate(jobs, settings, backend, output))
    except BackendError as error:
        raise ValueError(str(error)) from error
    yield f"{count['made']} made, {count['kept']} kept, {count['failed']} failed: {output.folder}"
    if count["failed"]:
        raise ValueError(f"{counted(count['failed'], 'picture')} could not be made; {output.manifest} says why.")


def _until_sure(options: argparse.Namespace) -> Iterator[str]:
    import torch

    from ..evaluation.features import features
    from ..evaluation.networks.extractors import load_extractor
    from ..evaluation.pictures import list_pictures, match
    from ..evaluation.until_sure import until_sure
    from ..generation.run import generate

    settings, output, source = settings_of(options), output_of(options), options.inception
    source = source or ("toy" if options.toy else None)
    if options.real is None or source is None:
        raise ValueError("--until-sure needs the photos and the network of FID: give --real FOLDER and --inception.")
    if options.official_compat or output.shard[1] > 1:
        raise ValueError("--until-sure takes a sample of all jobs: leave out --official-compat and --shard.")
    jobs = jobs_of(options)
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    network = load_extractor("inception", source, device).network
    photos = match([job.name for job in jobs], list_pictures(options.real), "photo")

    def make(some: Sequence[Job]) -> dict[str, Path]:
        made = [each for each in generate(some, settings, backend_of(options), output) if each.status != "failed"]
        return {each.name: output.folder / str(each.file) for each in made}

    def look(paths: Sequence[Path]) -> torch.Tensor:
        return features(network, paths, device=device)

    for seen in until_sure(jobs, make, look, look(sorted(set(photos.values()))), options.until_sure):
        yield f"FID {seen.fid:.2f} \u00b1 {seen.band:.2f} of {counted(seen.count, 'picture')}"
    if seen.band > options.until_sure:
        yield f"There are no more jobs; \u00b1 {options.until_sure:g} needs more of them, or --copies."


def jobs_of(options: argparse.Namespace) -> list[Job]:
    """Also chooses the toy's network for sketches, if a job has one and no other network is named."""
    from ..generation.jobs import read_jobs
    from ..toy.places import SKETCH_FILE, WEIGHTS

    folders = {"sketch": options.sketches, "landmarks": options.landmarks}
    jobs = read_jobs(
        options.source,
        options.prompts,
        options.mode,
        options.seed,
        options.copies,
        options.layout,
        options.split,
        {kind: folder for kind, folder in folders.items() if folder},
    )
    drawn = any(job.conditions for job in jobs)
    if drawn and options.official_compat:
        raise ValueError("--official-compat makes what the official script makes, which takes no sketch: leave it out.")
    if drawn and options.toy and not options.mogle and (options.server or (WEIGHTS / SKETCH_FILE).is_file()):
        options.mogle = SKETCH_FILE if options.server else str(WEIGHTS / SKETCH_FILE)
        options.lora = options.lora or options.mogle
    return jobs


def settings_of(options: argparse.Namespace) -> Settings:
    from ..generation.official import as_official
    from ..generation.settings import Settings

    width, height = _size(options.size or ("128" if options.toy else "512"))
    settings = Settings(
        width=width,
        height=height,
        steps=options.steps or (20 if options.toy else 28),
        guidance=(1.0 if options.toy else 3.5) if options.guidance is None else options.guidance,
        mask_guidance=None if options.mask_guidance == "image" else 1.0,
        strength=options.strength,
        label_space=options.label_space,
        refresh_every=options.refresh_every,
        refresh_schedule=options.refresh_schedule,
        mask_tokens=options.mask_tokens,
    )
    return as_official(settings) if options.official_compat else settings


def output_of(options: argparse.Namespace) -> Output:
    from ..generation.run import Output

    if not 1 <= options.quality <= 100:
        raise ValueError(f"--quality is {options.quality}: choose 1 to 100.")
    shard = shard_of(options.shard, os.environ)
    return Output(options.out, options.format, options.quality, options.replace, options.strict, shard)


def shard_of(given: str | None, environment: Mapping[str, str]) -> tuple[int, int]:
    """This process's share, from --shard and from the processes of `accelerate launch` or torchrun."""
    from ..generation.jobs import read_shard

    index, count = read_shard(given) if given else (0, 1)
    rank, processes = int(environment.get("RANK", 0)), int(environment.get("WORLD_SIZE", 1))
    return index * processes + rank, count * processes


def backend_of(options: argparse.Namespace) -> Backend:
    if options.batch < 1:
        raise ValueError(f"--batch is {options.batch}: choose 1 or more.")
    if options.cluster is not None and options.server:
        raise ValueError("--cluster and --server are two ways to make pictures: choose one.")
    cluster = cluster_of(options)
    if cluster is not None:
        return _clustered(options, cluster)
    if options.write_there:
        raise ValueError("--write-there needs --cluster.")
    return _servers(options) if options.server else _local(options)


def _servers(options: argparse.Namespace) -> Backend:
    from ..generation.comfy import TOY_FILES, ComfyFiles
    from ..generation.server import ServerBackend

    if options.official_compat:
        raise ValueError("--official-compat needs noise that no ComfyUI draws: leave out --server.")
    files = TOY_FILES if options.toy else ComfyFiles()
    given = {name: getattr(options, name) for name in ("transformer", "vae", "clip_l", "t5xxl", "mogle", "lora")}
    return ServerBackend(options.server, replace(files, **{name: file for name, file in given.items() if file}))


def _clustered(options: argparse.Namespace, cluster: Cluster) -> Backend:
    from ..generation.cluster import ClusterBackend

    return ClusterBackend(cluster, sources_of(options), options.batch, options.one_pass, options.write_there)


def _local(options: argparse.Namespace) -> Backend:
    from ..generation.local import LocalBackend

    return LocalBackend(sources_of(options), _device(options.device), options.batch, options.one_pass)


def sources_of(options: argparse.Namespace) -> Sources:
    """Raises ValueError with the options that are missing."""
    from ..generation.models import Sources, toy_sources
    from ..toy.registration import register_toy

    register_toy()
    mogle = Path(options.mogle) if options.mogle else None
    if options.toy:
        return toy_sources(mogle, options.base_dtype or "float32")
    if missing := [name for name in ("transformer", "vae", "clip_l", "t5xxl") if not getattr(options, name)]:
        named = ", ".join(f"--{name.replace('_', '-')}" for name in missing)
        raise ValueError(f"{named} missing: name the weights, or use --server URL, or --toy.")
    return Sources(
        options.transformer,
        options.vae,
        options.clip_l,
        options.t5xxl,
        tokenizers=options.tokenizers,
        mogle=mogle,
        lora=Path(options.lora) if options.lora else None,
        base_dtype=options.base_dtype or "bf16",
        offload_blocks=options.offload_blocks,
    )


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.lower().partition("x")
    try:
        return int(width), int(height or width)
    except ValueError as error:
        raise ValueError(f"--size is {text}: expected WIDTHxHEIGHT, such as 512x512.") from error


def _device(given: str | None) -> str:
    import torch

    if given:
        return given
    return f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if torch.cuda.is_available() else "cpu"
