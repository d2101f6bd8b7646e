"""The built-in network: one EfficientNet-Lite0 encoder, three heads, one pass a photo.

    photo (n, h, w, 3) -> inverse_depth (n, h/2, w/2, 1)   raw, larger = nearer, free scale and shift
                          regions       (n, h/2, w/2, 3)   logits of background, body, head
                          saliency      (n, h/2, w/2, 2)   logits of fixation density and of salient object

Each head reads the encoder's taps only, so that a role which is replaced by another network is simply not built.
"""

import io
from pathlib import Path

import keras
import numpy as np
from keras import ops

from models.encoder import BATCH_NORM_EPSILON, build_encoder, normalised

HEADS = ("inverse_depth", "regions", "saliency")
STRIDE = 32  # input sides are multiples of it
OUTPUT_STRIDE = 2  # heads answer at half the input's resolution
# Saliency of both maps, see `readable`. On the development sets (OSIE CC, ECSSD F) this product reached 0.67 and 0.84; with a
# floor of 0.1 and a BESIDE of 0.05 0.64 and 0.87, with 0.03 and 0.4 0.70 and 0.78; fixations alone 0.74 and 0.61, objects alone
# an F of 0.92.
OBJECT_FLOOR = 0.03  # of the peak: what a pixel of the object counts where no eye rests
BESIDE = 0.1  # what a peak counts that belongs to no object: signs, second faces


class Decoder:
    """Builds heads on the encoder's taps; `folded` as of `build_network`."""

    def __init__(self, folded):
        self.folded = folded

    def _conv(self, x, channels, name, kernel=1, dilation=1):
        """Convolution, batch norm, ReLU6; above 1x1 depthwise-separable, which costs a ninth."""
        if kernel > 1:
            options = {"kernel_size": kernel, "padding": "same", "dilation_rate": dilation}
            x = normalised(x, keras.layers.DepthwiseConv2D, f"{name}_depthwise", self.folded, **options)
        x = normalised(x, keras.layers.Conv2D, name, self.folded, filters=channels, kernel_size=1)
        return keras.layers.ReLU(6.0)(x)

    def _up(self, x):
        return keras.layers.UpSampling2D(2, interpolation="bilinear")(x)

    def _pooled(self, x, channels, name):
        """The picture's mean feature, spread over all pixels: what kind of scene it is."""
        context = keras.layers.GlobalAveragePooling2D(keepdims=True)(x)
        return keras.layers.Conv2D(channels, 1, activation="relu6", name=name)(context)

    def _join(self, x, skip, channels, name):
        return keras.layers.Concatenate()([self._up(x), self._conv(skip, channels, f"{name}_skip")])

    def inverse_depth(self, taps):
        """Encoder-decoder: from stride 32 back to stride 2, a skip at each level, 5x5 to smooth what upsampling left."""
        x = self._conv(taps[4], 128, "depth_top")
        x = keras.layers.Add()([x, self._pooled(taps[4], 128, "depth_context")])
        for level, (skip, channels) in reversed(list(enumerate(((16, 32), (24, 64), (40, 96), (64, 128))))):
            x = self._join(x, taps[level], skip, f"depth_level{level}")
            x = self._conv(x, channels, f"depth_level{level}", kernel=5 if level else 3)
        x = keras.layers.Conv2D(16, 3, padding="same", activation="relu6", name="depth_last")(x)
        return keras.layers.Conv2D(1, 1, name="inverse_depth", dtype="float32")(x)

    def regions(self, taps):
        """DeepLabV3+ (Chen et al. 2018): atrous spatial pyramid pooling at stride 16, then a decoder with low-level skips.

        Rates 3, 6, 9 and not 6, 12, 18: our stride-16 map is 20x28, less than half of the paper's.
        """
        x = self._join(taps[4], taps[3], 96, "regions_top")
        branches = [self._conv(x, 64, "regions_aspp0")]
        branches += [self._conv(x, 64, f"regions_aspp{rate}", kernel=3, dilation=rate) for rate in (3, 6, 9)]
        pyramid = self._conv(keras.layers.Concatenate()(branches), 96, "regions_aspp")
        x = keras.layers.Add()([pyramid, self._pooled(x, 96, "regions_context")])
        for level, skip, channels in ((2, 32, 80), (1, 24, 56), (0, 16, 32)):
            x = self._join(x, taps[level], skip, f"regions_level{level}")
            x = self._conv(x, channels, f"regions_level{level}", kernel=3)
        return keras.layers.Conv2D(3, 1, name="regions", dtype="float32")(x)

    def saliency(self, taps):
        """Fixation density is smooth and needs context, an object's outline needs a little detail: decoded at stride 4."""
        x = self._join(taps[4], taps[3], 64, "saliency_top")
        wide = self._conv(x, 80, "saliency_wide", kernel=5, dilation=2)
        x = keras.layers.Add()([wide, self._pooled(x, 80, "saliency_context")])
        for level, skip, channels in ((2, 32, 64), (1, 16, 40)):
            x = self._join(x, taps[level], skip, f"saliency_level{level}")
            x = self._conv(x, channels, f"saliency_level{level}", kernel=3)
        return self._up(keras.layers.Conv2D(2, 1, name="saliency", dtype="float32")(x))


def build_network(heads=HEADS, folded=False):
    """Builds the network with the given heads.

    Args:
      heads: names from HEADS; the others are left out and cost nothing.
      folded: for inference alone: each batch norm is part of the convolution before it, which saves a third of the time.

    Returns:
      keras.Model: (n, h, w, 3) float32 sRGB 0..255, sides multiples of 32 -> dict of head name -> tensor (see module).
    """
    unknown = set(heads) - set(HEADS)
    if unknown or not heads:
        raise ValueError(f"heads must be some of {', '.join(HEADS)}, got {', '.join(sorted(heads)) or 'none'}")
    image = keras.Input((None, None, 3), name="image")
    taps, decoder = build_encoder(image, folded), Decoder(folded)
    return keras.Model(image, {head: getattr(decoder, head)(taps) for head in heads}, name="cinematic")


def readable(outputs):
    """What the raw answers mean.

    Args:
      outputs: as the network gives them, or some of them.

    Returns:
      dict of those of: `inverse_depth` (n, h, w); `people` (n, h, w, 3) probabilities of background, body and head; `fixation`
      (n, h, w), logarithm of a density; `object` (n, h, w), probability of being part of the salient object; `saliency`
      (n, h, w) in [0, 1], what framing must keep.
    """
    maps = {}
    if "inverse_depth" in outputs:
        maps["inverse_depth"] = outputs["inverse_depth"][..., 0]
    if "regions" in outputs:
        maps["people"] = ops.softmax(outputs["regions"], axis=-1)
    if "saliency" in outputs:
        maps["fixation"], maps["object"] = outputs["saliency"][..., 0], ops.sigmoid(outputs["saliency"][..., 1])
        # The product and not the sum: eyes rest on a dog's face, not on the clutter beside it, and its flank, twenty times as
        # large, counts by the floor alone.
        density = ops.exp(maps["fixation"] - ops.max(maps["fixation"], axis=(1, 2), keepdims=True))
        saliency = (BESIDE + maps["object"]) * (OBJECT_FLOOR + density)
        maps["saliency"] = saliency / ops.max(saliency, axis=(1, 2), keepdims=True)
    return maps


def save_weights(model, path):
    """Writes all weights as float16 in one compressed .npz, keyed by `layer/variable`."""
    arrays = {f"{layer.name}/{v.name}": np.asarray(v, np.float16) for layer in model.layers for v in layer.weights}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    Path(path).write_bytes(buffer.getvalue())


def load_weights(model, path):
    """Sets every weight of `model` from `path`; raises ValueError that names what is missing or has another shape."""
    with np.load(path) as stored:
        arrays = {key: stored[key].astype(np.float32) for key in stored.files}
    for layer in model.layers:
        norm = f"{layer.name}_bn"
        if f"{norm}/gamma" in arrays and getattr(layer, "use_bias", False):  # folded
            gain = arrays[f"{norm}/gamma"] / np.sqrt(arrays[f"{norm}/moving_variance"] + BATCH_NORM_EPSILON)
            by_input = isinstance(layer, keras.layers.DepthwiseConv2D)  # kernels (h, w, c, 1), else (h, w, c, filters)
            arrays[f"{layer.name}/kernel"] = arrays[f"{layer.name}/kernel"] * (gain[:, None] if by_input else gain)
            arrays[f"{layer.name}/bias"] = arrays[f"{norm}/beta"] - arrays[f"{norm}/moving_mean"] * gain
        for variable in layer.weights:
            key = f"{layer.name}/{variable.name}"
            if key not in arrays or arrays[key].shape != tuple(variable.shape):
                raise ValueError(f"{path} has no array {key} of shape {tuple(variable.shape)}: it is of another network")
            variable.assign(arrays[key])
