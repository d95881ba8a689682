"""`lifted train`: a data set to a trained, frozen network."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gluon_lifted.config import TrainConfig
from serve_cli.console import TrainingBar, clock, print_facts, print_json, say
from serve_cli.options import Json, Threads

if TYPE_CHECKING:
    from gluon_lifted.training import TrainReport

INTERRUPTED = 130  # 128 + SIGINT, as shells report it
DATA_SET, NETWORK, LEARNING, REPORTING = "Data set", "Network", "Learning", "Run"


def train(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="folder, cars196 or glyphs.")],
    data: Annotated[Path, typer.Option(help="Folder of the data set.", rich_help_panel=DATA_SET)],
    out: Annotated[Path, typer.Option(help="Run folder to write.", rich_help_panel=REPORTING)],
    resize: Annotated[
        int, typer.Option(help="Pixels an image is stretched to, both ways.", rich_help_panel=DATA_SET)
    ] = TrainConfig.resize,
    crop: Annotated[
        int, typer.Option(help="Pixels of the square cut out; smaller trains faster.", rich_help_panel=DATA_SET)
    ] = TrainConfig.crop,
    validation_classes: Annotated[
        float,
        typer.Option(
            help="Share of the training classes kept out to watch recall on; with 0 the test classes are watched.",
            rich_help_panel=DATA_SET,
        ),
    ] = TrainConfig.validation_classes,
    backbone: Annotated[
        str, typer.Option(help="googlenet (the paper's) or googlenet_bn (batch norm).", rich_help_panel=NETWORK)
    ] = TrainConfig.backbone,
    dim: Annotated[int, typer.Option(help="Width of the embedding.", rich_help_panel=NETWORK)] = TrainConfig.dim,
    dropout: Annotated[
        float, typer.Option(help="Share of the backbone's outputs dropped in training.", rich_help_panel=NETWORK)
    ] = TrainConfig.dropout,
    margin: Annotated[
        float, typer.Option(help="Margin of the loss, a distance.", rich_help_panel=LEARNING)
    ] = TrainConfig.margin,
    iterations: Annotated[
        int, typer.Option(help="Batches to train on.", rich_help_panel=LEARNING)
    ] = TrainConfig.iterations,
    classes_per_batch: Annotated[
        int, typer.Option(help="Classes in a batch.", rich_help_panel=LEARNING)
    ] = TrainConfig.classes_per_batch,
    images_per_class: Annotated[
        int, typer.Option(help="Images of each class in a batch.", rich_help_panel=LEARNING)
    ] = TrainConfig.images_per_class,
    optimizer: Annotated[str, typer.Option(help="adam or sgd.", rich_help_panel=LEARNING)] = TrainConfig.optimizer,
    learning_rate: Annotated[
        float, typer.Option(help="Of the backbone.", rich_help_panel=LEARNING)
    ] = TrainConfig.learning_rate,
    embedding_lr_mult: Annotated[
        float, typer.Option(help="How many times as fast the embedding layer learns.", rich_help_panel=LEARNING)
    ] = TrainConfig.embedding_lr_mult,
    schedule: Annotated[
        str, typer.Option(help="Of the learning rate: constant, or linear down to 0.", rich_help_panel=LEARNING)
    ] = TrainConfig.schedule,
    weight_decay: Annotated[
        float, typer.Option(help="Of weights; biases have none.", rich_help_panel=LEARNING)
    ] = TrainConfig.weight_decay,
    seed: Annotated[
        int, typer.Option(help="Decides weights, batches, crops, dropout.", rich_help_panel=LEARNING)
    ] = TrainConfig.seed,
    eval_every: Annotated[
        int, typer.Option(help="Iterations between measures of recall; 0: at the end.", rich_help_panel=REPORTING)
    ] = TrainConfig.eval_every,
    checkpoint_every: Annotated[
        int, typer.Option(help="Iterations between checkpoints; 0: at the end.", rich_help_panel=REPORTING)
    ] = TrainConfig.checkpoint_every,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the newest checkpoint in --out.", rich_help_panel=REPORTING)
    ] = False,
    device: Annotated[str, typer.Option(help="cpu, gpu, or several: gpu:0,gpu:1.", rich_help_panel=REPORTING)] = "cpu",
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Train an embedding network with the lifted structured loss.

    Ctrl-C stops after the current batch and leaves a checkpoint; the same command with --resume goes on.

    [bold]Examples[/bold]

      lifted train folder --data photos --out runs/mine --crop 64 --resize 72 --iterations 1000

      lifted train cars196 --data CARS196 --out runs/cars --device gpu:0,gpu:1
    """
    from gluon_lifted.cpus import usable_cpus
    from gluon_lifted.training import Machine
    from gluon_lifted.training import train as run_training

    config = TrainConfig(
        dataset=dataset,
        data=str(data),
        backbone=backbone,
        dim=dim,
        dropout=dropout,
        margin=margin,
        iterations=iterations,
        classes_per_batch=classes_per_batch,
        images_per_class=images_per_class,
        optimizer=optimizer,
        learning_rate=learning_rate,
        embedding_lr_mult=embedding_lr_mult,
        schedule=schedule,
        weight_decay=weight_decay,
        resize=resize,
        crop=crop,
        validation_classes=validation_classes,
        eval_every=eval_every,
        checkpoint_every=checkpoint_every,
        seed=seed,
    )
    say(f"train: {backbone} on {dataset} in {data}, {iterations:,} batches of {config.batch_size} images")
    with TrainingBar() as bar:
        report = run_training(config, out, Machine(device, threads or usable_cpus()), resume, bar.show)
    _print_report(report, as_json)
    if not report.finished:
        raise typer.Exit(INTERRUPTED)


def _print_report(report: TrainReport, as_json: bool) -> None:
    if report.skipped:
        say(f"train: {report.skipped} batches had a gradient that was not finite, and were not learned from")
    if as_json:
        print_json({**asdict(report), "finished": report.finished})
        return
    facts = {
        "run": report.run,
        "iterations": f"{report.iteration:,} of {report.iterations:,}",
        "time": clock(report.seconds),
        "loss": "-" if report.loss is None else f"{report.loss:.4f}",
        "recall@1": "-" if report.recall is None else f"{report.recall:.4f} on the classes watched",
        "next": f"lifted export {report.run} --onnx model.onnx"
        if report.finished
        else "interrupted; the same command with --resume goes on",
    }
    print_facts(facts)
