"""`lifted demo`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gluon_lifted.extras import require_extras
from serve_cli.cli.shared_options import Json

if TYPE_CHECKING:
    from serve_cli.cli.demo_pipeline import DemoReport

Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Write everything to this folder.")]
Iterations = Annotated[int, typer.Option("--iterations", metavar="N", min=1, help="Train on this many batches.")]
Seed = Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Seed the initial weights and the batches.")]


def demo(
    out: Out = Path("demo"),
    iterations: Iterations = 300,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Run the whole pipeline in three minutes, on images that it draws.

    Draw a data set, train, export, embed, evaluate, and write a report.

    The images show characters of Matplotlib's fonts, rotated, tilted, colored and
    cluttered. Training never sees the test characters. The command needs no
    internet connection.

    [bold]Example[/bold]

      lifted demo --out demo
    """
    require_extras("lifted demo", "train")
    from serve_cli.cli.console import print_json
    from serve_cli.cli.demo_pipeline import run_demo

    report = run_demo(out, iterations, seed)
    if as_json:
        print_json({"recall@1": report.recall, "seconds": report.seconds, "files": report.files._asdict()})
    else:
        _print(report)


def _print(report: DemoReport) -> None:
    from serve_cli.cli.console import print_facts, print_table

    files = report.files
    print_table(["step", "seconds"], [[name, f"{seconds:.1f}"] for name, seconds in report.seconds.items()])
    print_table(
        ["embedding of unseen characters", "recall@1"],
        [[name, f"{recall:.3f}"] for name, recall in sorted(report.recall.items(), key=lambda item: item[1])],
    )
    print_facts(
        {
            "images": files.glyphs,
            "run": files.trained,
            "model": files.model,
            "embeddings": files.embeddings,
            "report": f"{files.page} (open it in a browser)",
        }
    )
    typer.echo(
        "\nNow try your own photographs, with one sub-folder per class:\n\n"
        "  lifted train folder --data PHOTOS --out runs/mine --backbone mobilenetv2_1.0 --weights imagenet \\\n"
        "    --resize 128 --crop 112 --batch-size 64 --iterations 300\n"
        "  lifted export runs/mine --onnx mine.onnx\n"
        "  lifted eval mine.onnx --dataset folder --data PHOTOS --baseline\n"
        "  lifted embed mine.onnx PHOTOS --out embeddings\n"
        "  lifted report embeddings --out report.html"
    )
