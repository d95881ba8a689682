"""A training run in a process of its own: `python train_runner.py RUN CONFIG_JSON [rank hosts port]`."""

import json
import sys
from pathlib import Path

from gluon_lifted.config.train_config import TrainConfig
from gluon_lifted.distributed import ClusterSpec
from gluon_lifted.training import loop
from gluon_lifted.training.run import Hardware, Hooks, train

loop.draw_curves = lambda *_: None  # drawing takes longer than such a run
run, config = Path(sys.argv[1]), TrainConfig(**json.loads(sys.argv[2]))
cluster = None
if len(sys.argv) > 3:
    rank, hosts, port = map(int, sys.argv[3:])
    cluster = ClusterSpec(hosts, rank, f"127.0.0.1:{port}")
losses = []
hooks = Hooks(lambda progress: losses.append(progress.loss), lambda note: print(note, file=sys.stderr))
train(config, run, Hardware("cpu", 1, cluster), resume=(run / "checkpoints").exists(), hooks=hooks)
print(json.dumps(losses))
