r"""Trains the built-in network.

    python -m models.train --data DATA --labels LABELS --config models/configs/first.toml --output RUN1
    python -m models.train --data DATA --labels LABELS --config models/configs/second.toml --output RUN2 \
        --initial RUN1/weights.npz

DATA holds photo sets, LABELS prediction folders (`<set>/<stem>.depth.png` and so on); the configuration names the sets.
RUN receives the state after every epoch (the same command again takes it up), `losses.csv`, `losses.png`,
`latest.npz`, and at the end `weights.npz`, the averaged weights in float16 that `models.registry` loads.
"""

import argparse
import csv
import json
import sys
import tomllib
from pathlib import Path

import keras
import numpy as np
from keras import ops

from models import corpus, losses, network
from models.encoder import find_imagenet_checkpoint, load_imagenet_weights


class Trainer(keras.Model):
    """The network with its losses; `fit` works under every Keras backend because only `compute_loss` is ours."""

    def __init__(self, net, weights, class_weights):
        super().__init__()
        self.net, self.weights_of, self.class_weights = net, weights, class_weights
        self.trackers = [keras.metrics.Mean(name=name) for name in weights if weights[name]]

    def call(self, photos, training=None):
        return self.net(photos, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        truth = losses.standardised(y["depth"])
        depth = losses.standardised(y_pred["inverse_depth"][..., 0])
        saliency = y_pred["saliency"]
        parts = {
            "depth": (losses.scale_shift_invariant(depth, truth), y["has_depth"]),
            "outline": (losses.multi_scale_gradient(depth, truth), y["has_depth"]),
            "regions": (losses.region_cross_entropy(y_pred["regions"], y["regions"], self.class_weights), y["has_regions"]),
            "overlap": (losses.region_overlap(y_pred["regions"], y["regions"]), y["has_regions"]),
            "fixation": (losses.fixation(saliency[..., 0], y["fixation"]), y["has_fixation"]),
            "object": (losses.salient_object(saliency[..., 1], y["object"]), y["has_object"]),
        }
        total = 0.0
        for tracker in self.trackers:
            loss, has = parts[tracker.name]
            mean = ops.sum(loss * has) / (ops.sum(has) + 1e-6)
            tracker.update_state(mean)
            total += self.weights_of[tracker.name] * mean
        return total


class Progress(keras.callbacks.Callback):
    """After each epoch: appends the losses to `losses.csv` and draws them."""

    def __init__(self, folder):
        super().__init__()
        self.path = Path(folder) / "losses.csv"

    def on_epoch_end(self, epoch, logs=None):
        row = {"epoch": epoch + 1} | {key: round(float(value), 5) for key, value in logs.items()}
        new = not self.path.exists()
        with self.path.open("a", newline="") as file:
            writer = csv.DictWriter(file, row)
            if new:
                writer.writeheader()
            writer.writerow(row)
        print(json.dumps(row), flush=True)
        draw_curves(self.path, self.path.with_suffix(".png"))


def draw_curves(table, picture):
    """Draws every column of a losses.csv against its epoch, each over its own first value."""
    import cv2

    with open(table) as file:
        rows = list(csv.DictReader(file))
    names = [key for key in rows[0] if key not in ("epoch", "learning_rate")]
    height, width, margin = 360, 720, 40
    canvas = np.full((height, width, 3), 255, np.uint8)
    top = 1.1
    for i, name in enumerate(names):
        values = np.array([float(row[name]) for row in rows])
        values = values / max(values[0], 1e-9)
        x = margin + np.arange(len(values)) * (width - 2 * margin) / max(len(values) - 1, 1)
        y = height - margin - np.clip(values, 0, top) / top * (height - 2 * margin)
        colour = tuple(int(c) for c in cv2.cvtColor(np.uint8([[[i * 180 // len(names), 200, 170]]]), cv2.COLOR_HSV2BGR)[0, 0])
        cv2.polylines(canvas, [np.stack([x, y], -1).astype(np.int32)], False, colour, 2, cv2.LINE_AA)
        cv2.putText(canvas, f"{name} {float(rows[-1][name]):.3f}", (width - 200, 24 + 16 * i), 0, 0.45, colour, 1, cv2.LINE_AA)
    cv2.putText(
        canvas, f"losses over their first value, {len(rows)} epochs", (margin, height - 12), 0, 0.45, (0, 0, 0), 1, cv2.LINE_AA
    )
    cv2.imwrite(str(picture), canvas)


def main(argv=None):
    parser = argparse.ArgumentParser(
        prog="python -m models.train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", type=Path, required=True, help="TOML file, see models/configs")
    parser.add_argument("--data", type=Path, required=True, help="folder of photo sets")
    parser.add_argument("--labels", type=Path, required=True, help="folder of prediction folders to learn from")
    parser.add_argument("--initial", type=Path, help="weights of an earlier run to start from (default: ImageNet's encoder)")
    parser.add_argument("--output", type=Path, required=True, help="folder of the run; an unfinished run there is taken up")
    args = parser.parse_args(argv)
    config = tomllib.loads(args.config.read_text())
    schedule = config["schedule"]
    keras.utils.set_random_seed(schedule["seed"])
    args.output.mkdir(parents=True, exist_ok=True)

    samples = []
    for source in config["sources"]:
        try:
            read = corpus.read_source(source, args.data, args.labels)
        except ValueError as error:
            parser.error(str(error))
        has = {k: sum(getattr(s, k) is not None for s in read) for k in ("depth", "regions", "fixation", "object")}
        print(f"{source['photos']}: {len(read)} photos, {has}", flush=True)
        samples += read

    net = network.build_network()
    if args.initial:
        network.load_weights(net, args.initial)
    else:
        try:
            load_imagenet_weights(net, find_imagenet_checkpoint())
        except FileNotFoundError as error:
            parser.error(str(error))
    trainer = Trainer(net, config["losses"], config["class_weights"])
    for layer in net.layers:
        if layer.name.startswith(tuple(schedule["frozen"])):
            layer.trainable = False
        if schedule.get("freeze_batch_norm") and isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    steps = sum(phase["epochs"] for phase in schedule["phases"]) * schedule["steps_per_epoch"]
    rate = keras.optimizers.schedules.CosineDecay(
        0.0,
        steps - schedule["warmup_steps"],
        alpha=0.02,
        warmup_target=schedule["learning_rate"],
        warmup_steps=schedule["warmup_steps"],
    )
    trainer.compile(
        keras.optimizers.AdamW(
            rate, weight_decay=schedule["weight_decay"], global_clipnorm=5.0, use_ema=True, ema_momentum=schedule["ema"]
        ),
        # XLA spends minutes compiling this network on a CPU, TensorFlow starts at once; JAX knows nothing else.
        jit_compile=keras.backend.backend() == "jax",
    )
    trainer.build((None, network.STRIDE, network.STRIDE, 3))
    backup = keras.callbacks.BackupAndRestore(str(args.output / "state"), delete_checkpoint=False, double_checkpoint=True)
    done, per_epoch, compiled = 0, schedule["steps_per_epoch"], {}
    for phase in schedule["phases"]:
        # An epoch has one size, and each size a compiled step of its own: upsampling must know the size. They take turns.
        sources = [
            corpus.Crops(samples, tuple(size), phase["batch"], per_epoch, schedule["seed"], schedule["composed"])
            for size in phase["crops"]
        ]
        for epoch in range(done, done + phase["epochs"]):  # a resumed run passes through what is behind it without a step
            crops = sources[epoch % len(sources)]
            callbacks = [backup, corpus.FollowEpoch(crops), Progress(args.output)]
            trainer.train_function = compiled.get(crops.size)
            trainer.fit(crops, initial_epoch=epoch, epochs=epoch + 1, verbose=0, shuffle=False, callbacks=callbacks)
            compiled[crops.size] = trainer.train_function
            network.save_weights(net, args.output / "latest.npz")  # averaged: `fit` ends so, and the next one takes up the state
        done += phase["epochs"]
    network.save_weights(net, args.output / "weights.npz")
    print(f"wrote {args.output / 'weights.npz'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
