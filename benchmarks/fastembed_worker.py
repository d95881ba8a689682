"""Run fastembed's image pipeline with our model: images per second as JSON. Started by `benchmarks/embed.py`.

fastembed selects models by name, so the files of one of its models are replaced by ours. Its preprocessing uses the
same numbers: images are fully decoded, resized with the same filter, cropped and normalized.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
from fastembed import ImageEmbedding

REPLACED_MODEL = "Qdrant/resnet50-onnx"  # any model whose file is model.onnx


def preprocessor(settings: dict) -> dict:
    return {
        "image_processor_type": "CLIPImageProcessor",
        "do_resize": True,
        "size": {"height": settings["resize"], "width": settings["resize"]},
        "resample": 2,  # bilinear
        "do_center_crop": True,
        "crop_size": {"height": settings["crop"], "width": settings["crop"]},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [value / 255 for value in settings["mean"]],
        "image_std": [value / 255 for value in settings["std"]],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("job", type=Path, help="JSON: paths, preprocessing, batch, parallel, out")
    options = parser.parse_args()
    job = json.loads(options.job.read_text())
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(options.model, Path(folder, "model.onnx"))
        Path(folder, "preprocessor_config.json").write_text(json.dumps(preprocessor(job["preprocessing"])))
        Path(folder, "config.json").write_text("{}")
        model = ImageEmbedding(REPLACED_MODEL, specific_model_path=folder, cuda=False, lazy_load=bool(job["parallel"]))
        stamps, rows = [], []
        began = time.perf_counter()
        for row in model.embed(job["paths"], batch_size=job["batch"], parallel=job["parallel"]):
            rows.append(row)
            stamps.append(time.perf_counter())
    # With several processes, time starts at the first results, without their start
    first = job["batch"] * job["parallel"] if job["parallel"] else 0
    seconds = stamps[-1] - (stamps[first - 1] if first else began)
    np.save(job["out"], np.array(rows, np.float32))
    print(json.dumps({"images_per_second": (len(rows) - first) / seconds}))


if __name__ == "__main__":
    main()
