"""`mogle generate`: makes pictures for many masks and prompts."""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..support.sentences import counted
from .cluster_options import cluster_of
from .generate_options import add_options as add_options  # the command line looks for it here

if TYPE_CHECKING:  # the command's help must not wait for torch
    from ..generation.backend import Backend
    from ..generation.jobs import Job
    from ..generation.models import Sources
    from ..generation.run import Output
    from ..generation.settings import Settings
    from ..support.cluster import Cluster


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
    """The jobs to run. If one has a sketch and no network is named, this selects the toy's network for sketches."""
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
