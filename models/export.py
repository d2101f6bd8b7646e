"""Writes the built-in network as a TensorFlow SavedModel, for use outside of this project.

    python -m models.export --output DIR

The signatures are `serving_default`, landscape 4:3, and one of each input size, `serve_<height>x<width>`. Each takes `image`
(n, height, width, 3) float32 sRGB 0..255 and answers with maps of half that size, float32: `inverse_depth` (n, h, w), larger =
nearer, of free scale and shift; `person` and `head` (n, h, w), probabilities; `fixation` (n, h, w), logarithm of a density;
`object` (n, h, w), the probability of being part of the salient object; `saliency` (n, h, w), what framing keeps.
"""

import argparse
import sys
from pathlib import Path

from models import network, registry

DEFAULT_SIZE = (320, 448)


def export(path, weights=registry.BUILTIN_WEIGHTS):
    """Writes the SavedModel to a directory, local or gs://, which must not be there."""
    import tensorflow as tf

    model = network.build_network(folded=True)
    network.load_weights(model, weights)

    def answer(image):
        maps = network.readable(model(image, training=False))
        people = maps.pop("people")
        return maps | {"person": people[..., 1] + people[..., 2], "head": people[..., 2]}

    module = tf.Module()
    # A SavedModel keeps the variables that hang on it. The Keras model itself would bring functions of its own, of any size.
    module.weights = [variable.value for variable in model.variables]
    signatures = {
        f"serve_{height}x{width}": tf.function(answer).get_concrete_function(
            image=tf.TensorSpec((None, height, width, 3), tf.float32, name="image")
        )
        for height, width in registry.INPUT_SIZES
    }
    height, width = DEFAULT_SIZE
    tf.saved_model.save(module, path, {"serving_default": signatures[f"serve_{height}x{width}"], **signatures})


def main(argv=None):
    parser = argparse.ArgumentParser(
        prog="python -m models.export", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", required=True, help="directory of the SavedModel, local or gs://; must not be there")
    parser.add_argument("--weights", type=Path, default=registry.BUILTIN_WEIGHTS, help="weights in place of the built-in ones")
    args = parser.parse_args(argv)
    if "://" not in args.output and Path(args.output).exists():
        parser.error(f"--output {args.output} is there already: name a new directory")
    export(args.output, args.weights)
    print(f"wrote {args.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
