"""`lifted train`: train a network on a data set."""

from __future__ import annotations

import os
import shlex
import signal
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gluon_lifted.config.recipes import RECIPES, REPOSITORY
from gluon_lifted.datasets.known_datasets import DATASETS, DEFAULT_DATASET
from gluon_lifted.extras import require_extras
from gluon_lifted.progress import clock
from serve_cli.cli.config_options import with_config_options
from serve_cli.cli.console import (
    print_facts,
    print_json,
    print_table,
    say,
)
from serve_cli.cli.help_page import REQUIRED
from serve_cli.cli.shared_options import HARDWARE, Json, Threads
from serve_cli.path_kinds import refuse_other_folder

if TYPE_CHECKING:
    from gluon_lifted.config.train_config import TrainConfig
    from gluon_lifted.training.loop import TrainReport

SCHEDULER = "127.0.0.1:9091"
SETTINGS = "Settings in files"

Out = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Write this run folder.", rich_help_panel=REQUIRED)
]
Resume = Annotated[
    bool,
    typer.Option("--resume", help="Resume from the newest complete checkpoint in --out."),
]
Recipe = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        metavar="NAME",
        help=f"Use the settings of the paper: {', '.join(RECIPES)}.",
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Read settings from this TOML or YAML file. They override a recipe. Options override both.",
        rich_help_panel=SETTINGS,
    ),
]
PrintConfig = Annotated[
    bool,
    typer.Option(
        "--print-config", help="Print the settings and their sources as TOML, and exit.", rich_help_panel=SETTINGS
    ),
]
Devices = Annotated[
    str,
    typer.Option(
        "--device", metavar="DEVICE", help="Train on cpu, gpu, or several GPUs: gpu:0,gpu:1.", rich_help_panel=HARDWARE
    ),
]
NumHosts = Annotated[
    int,
    typer.Option(
        "--num-hosts", metavar="N", min=1, help="Train on this many hosts together.", rich_help_panel=HARDWARE
    ),
]
Rank = Annotated[
    int, typer.Option("--rank", metavar="N", help="Set the rank of this host, from 0.", rich_help_panel=HARDWARE)
]
Scheduler = Annotated[
    str,
    typer.Option(
        "--scheduler",
        metavar="HOST:PORT",
        help="Connect hosts through this HOST:PORT of rank 0, any free port.",
        rich_help_panel=HARDWARE,
    ),
]


@with_config_options
def train(
    given: dict[str, Any],
    out: Out = None,
    resume: Resume = False,
    recipe: Recipe = None,
    config: Config = None,
    print_config: PrintConfig = False,
    device: Devices = "cpu",
    num_hosts: NumHosts = 1,
    rank: Rank = 0,
    scheduler: Scheduler = SCHEDULER,
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    r"""Train an embedding network.

    The paper named below is Song et al., CVPR 2016 (arXiv:1511.06452).

    Ctrl-C stops after the current batch and saves a checkpoint. Repeat the
    command with --resume to continue.

    [bold]Examples[/bold]

      lifted train folder --data photos --out runs/mine \
        --backbone mobilenetv2_1.0 --weights imagenet \
        --resize 128 --crop 112 --batch-size 64 --iterations 300

      lifted train --recipe paper-cars --data CARS196 --out runs/cars \
        --weights bvlc_googlenet.caffemodel

      lifted train --recipe paper-cub --print-config > cub.toml

      lifted train --config cub.toml --data CUB_200_2011 --out runs/cub \
        --device gpu:0,gpu:1

    To train on two hosts, run the command on each with its own --rank, and with
    --out on a shared disk:

      lifted train cars196 --data CARS196 --out runs/cars \
        --num-hosts 2 --rank 0 --scheduler 10.0.0.1:9091
    """
    from gluon_lifted.config.resolve import as_toml, config_of, resolve
    from gluon_lifted.distributed import ClusterSpec
    from gluon_lifted.hardware.cpus import usable_cpus
    from gluon_lifted.training.run import Hardware, Hooks
    from gluon_lifted.training.run import train as run_training
    from serve_cli.cli.training_console import show_start

    _refuse_path(given, out)
    if out is not None:
        refuse_other_folder(out, "run")
    settings = resolve(given, recipe, config)
    resolved = config_of(settings)
    if print_config:
        if recipe:
            typer.echo(f"# Sources: the paper (arXiv:1511.06452), and the authors' files and issues at {REPOSITORY}")
        typer.echo(as_toml(settings), nl=False)
        return
    needed = {"--data, the folder of the data set": resolved.data, "--out, the run folder to write": out}
    if missing := [name for name, value in needed.items() if not value]:
        raise typer.BadParameter(f"missing: {'; '.join(missing)}")
    assert out is not None
    here = ("default", "command line")
    if elsewhere := {name: setting for name, setting in settings.items() if setting.source not in here}:
        say(as_toml(elsewhere))
    if num_hosts == 1 and (rank or scheduler != SCHEDULER):
        raise typer.BadParameter("--rank and --scheduler are for several hosts; add --num-hosts")
    require_extras("lifted train", "train")
    _announce(resolved)
    if threads:
        os.environ["OMP_NUM_THREADS"] = str(threads)  # for MXNet, which is not imported yet
    cluster = ClusterSpec(num_hosts, rank, scheduler) if num_hosts > 1 else None
    hardware = Hardware(device, threads or usable_cpus(), cluster)
    hooks = Hooks(on_note=lambda note: say(f"train: {note}"), on_start=show_start)
    report = run_training(resolved, out, hardware, resume=resume, hooks=hooks)
    _print_report(report, as_json)
    if not report.finished:
        raise typer.Exit(128 + (report.signal or signal.SIGINT))  # as shells report it


def _refuse_path(given: dict[str, Any], out: Path | None) -> None:
    """Raise `typer.BadParameter` if the positional argument is a path: it names the kind of data set."""
    path = given.get("dataset")
    if path is None or path in DATASETS or not (os.sep in path or Path(path).exists()):
        return
    kind = "manifest" if Path(path).is_file() else DEFAULT_DATASET
    command = f"lifted train {kind} --data {shlex.quote(path)}{f' --out {shlex.quote(str(out))}' if out else ''}"
    raise typer.BadParameter(f"{path!r} is a path, but DATASET names a kind of data set. Try `{command}`")


def _announce(config: TrainConfig) -> None:
    say(
        f"train: {config.backbone} with the {config.loss} loss on {config.dataset} in {config.data}, "
        f"{config.iterations:,} batches of {config.batch_size} images"
    )


def _kept(report: TrainReport) -> str:
    """Say in words which weights were frozen."""
    if report.kept is None:
        return "-"
    if report.iterations == 0:
        return "of the start, untrained"
    early = f"; stopped early at {report.iteration:,}" if report.stopped_early else ""
    if report.kept == report.iteration:
        return f"of the last iteration{early}"
    origin = f"of iteration {report.kept:,}" if report.kept else "of the start, which no training improved"
    return f"{origin}, with the best recall@1: {report.kept_recall:.4f}{early}"


def _print_report(report: TrainReport, as_json: bool) -> None:
    if report.dead:
        say(
            f"train: {report.dead:,} batches had a gradient of zero: no two images of a class, or all distances are "
            "already as the loss requires"
        )
    if report.not_finite:
        say(f"train: {report.not_finite:,} batches were skipped: the gradient was not finite; lower --learning-rate")
    measured = report.measured
    if measured is not None and measured.warning:
        say(f"train: {measured.warning}")
    if as_json:
        values = asdict(replace(report, measured=None))
        print_json(values | {"measured": measured and measured.to_json(), "finished": report.finished})
        return
    waiting = f", {100 * report.waiting:.1f} % of training waiting for images" if report.iterations else ""
    facts = {
        "run": report.run,
        "iterations": f"{report.iteration:,} of {report.iterations:,}",
        "time": f"{clock(report.seconds)}{waiting}",
        **({} if report.loss is None else {"loss": f"{report.loss:.4g}"}),
        "recall@1": "-" if report.recall is None else f"{report.recall:.4f} on {report.watched}",
        "weights": _kept(report),
        "curves": report.run / "curves.png",
        "next": f"lifted export {report.run} --onnx model.onnx"
        if report.finished
        else "interrupted; repeat the command with --resume",
    }
    if measured is not None:
        from serve_cli.cli.training_console import recall_facts, recall_table

        print_table(*recall_table(measured))
        del facts["recall@1"]
        facts = {"run": facts.pop("run")} | recall_facts(measured) | facts
    print_facts(facts)
