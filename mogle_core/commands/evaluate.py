"""`mogle evaluate`: computes the paper's metrics of generated pictures."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from ..support.arguments import number
from .cluster_options import add_cluster_options, cluster_of

NETWORKS = {
    "inception": "FID, KID: inception-2015-12-05.pt, or torch-fidelity's weights-inception-2015-12-05-6726825d.pth",
    "clip": "Text: the folder of openai/clip-vit-base-patch16",
    "clip-large": "CMMD: the folder of openai/clip-vit-large-patch14-336",
    "dino": "Mask (structure): the folder of facebook/dino-vitb8",
    "parser": "mask accuracy, IoU, boundary F1: a face parser's file or folder",
    "lpips": "diversity: torchvision's alexnet-owt-7be5be79.pth",
    "image-reward": "IR: ImageReward.pt, with med_config.json beside it",
}


def add_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "pictures", type=Path, help="folder of generated pictures, with the names of their masks and photos"
    )
    command.add_argument("--real", type=Path, help="folder of the photos")
    command.add_argument("--all-real", action="store_true", help="compute FID, KID and CMMD against all photos")
    command.add_argument("--masks", type=Path, help="folder of the label maps")
    command.add_argument("--sketches", type=Path, help="folder of sketches: adds the distance from lines to edges")
    command.add_argument("--prompts", type=Path, help="captions by name (default: the manifest beside the pictures)")
    command.add_argument("--out", type=Path, help="folder of the report (default: PICTURES_evaluation)")
    command.add_argument("--title", help="title of the table's row (default: the folder's name)")
    _add_networks(command.add_argument_group("networks: a path, MODULE:NAME, or toy; each adds its metrics"))
    _add_files(command.add_argument_group("scores computed elsewhere"))
    command.add_argument("--label-space", default="auto", help="of the stored masks (default: auto)")
    command.add_argument("--batch", type=number(1), default=32, help="pictures at a time (default: 32)")
    command.add_argument("--device", help="(default: a GPU if there is one)")
    command.add_argument("--strict", action="store_true", help="refuse pictures without a partner and damaged ones")
    command.add_argument("--kid-subsets", type=number(1), default=100, help="number of subsets (default: 100)")
    command.add_argument("--kid-subset-size", type=number(2), default=1000, help="pictures in each (default: 1000)")
    command.add_argument(
        "--fid-resamples", type=number(0), default=20, help="resamples for FID's band; 0 leaves it out (default: 20)"
    )
    add_cluster_options(command)


def _add_networks(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--toy", action="store_true", help="use the toy world's stand-ins for all that are not named")
    for name, text in NETWORKS.items():
        group.add_argument(f"--{name}", metavar="SOURCE", help=text)


def _add_files(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--detection", type=Path, help="scores of a detector: .csv with name,label,score")
    group.add_argument("--image-reward-scores", type=Path, help=".csv with name,score")


def run(options: argparse.Namespace) -> Iterator[str]:
    """Evaluate; yield the table and the folder of the report."""
    import torch

    from ..evaluation.material import Settings
    from ..evaluation.result import markdown
    from ..evaluation.run import evaluate

    sources = {name.replace("-", "_"): getattr(options, name.replace("-", "_")) for name in NETWORKS}
    chosen = {kind: source or "toy" for kind, source in sources.items() if source or options.toy}
    if not chosen and not (options.detection or options.image_reward_scores or options.sketches):
        raise ValueError(f"No network is named: give one or more of {', '.join(f'--{name}' for name in NETWORKS)}.")
    settings = Settings(
        pictures=options.pictures,
        out=options.out or options.pictures.with_name(f"{options.pictures.resolve().name}_evaluation"),
        real=options.real,
        masks=options.masks,
        prompts=options.prompts,
        extractors=chosen,  # type: ignore[arg-type]  # the options are called as the kinds
        detection=options.detection,
        rewards=options.image_reward_scores,
        title=options.title or options.pictures.resolve().name,
        label_space=options.label_space,
        batch=options.batch,
        device=options.device or ("cuda" if torch.cuda.is_available() else "cpu"),
        strict=options.strict,
        all_real=options.all_real,
        kid_subsets=options.kid_subsets,
        kid_subset_size=options.kid_subset_size,
        fid_resamples=options.fid_resamples,
        sketches=options.sketches,
    )
    yield markdown({settings.title: evaluate(settings, cluster_of(options))})
    yield f"{settings.out}"
