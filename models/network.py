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

from models.encoder import BATCH_NORM_EPSILON, build_encoder

HEADS = ("inverse_depth", "regions", "saliency")
STRIDE = 32  # input sides are multiples of it
OUTPUT_STRIDE = 2  # heads answer at half the input's resolution


def _conv(x, channels, name, kernel=1, dilation=1):
    """Convolution, batch norm, ReLU6; above 1x1 depthwise-separable, which costs a ninth."""
    if kernel > 1:
        x = keras.layers.DepthwiseConv2D(
            kernel, padding="same", dilation_rate=dilation, use_bias=False, name=f"{name}_depthwise"
        )(x)
        x = keras.layers.BatchNormalization(epsilon=BATCH_NORM_EPSILON, name=f"{name}_depthwise_bn")(x)
    x = keras.layers.Conv2D(channels, 1, use_bias=False, name=name)(x)
    x = keras.layers.BatchNormalization(epsilon=BATCH_NORM_EPSILON, name=f"{name}_bn")(x)
    return keras.layers.ReLU(6.0)(x)


def _up(x, factor=2):
    return keras.layers.UpSampling2D(factor, interpolation="bilinear")(x)


def _pooled(x, channels, name):
    """The picture's mean feature, spread over all pixels: what kind of scene it is."""
    context = keras.layers.GlobalAveragePooling2D(keepdims=True)(x)
    context = keras.layers.Conv2D(channels, 1, activation="relu6", name=name)(context)
    return context


def _join(x, skip, channels, name):
    return keras.layers.Concatenate()([_up(x), _conv(skip, channels, f"{name}_skip")])


def _depth_head(taps):
    """Encoder-decoder: from stride 32 back to stride 2, a skip at each level, 5x5 to smooth what upsampling left."""
    x = _conv(taps[4], 128, "depth_top")
    x = keras.layers.Add()([x, _pooled(taps[4], 128, "depth_context")])
    for level, (skip, channels) in reversed(list(enumerate(((16, 32), (24, 64), (40, 96), (64, 128))))):
        x = _join(x, taps[level], skip, f"depth_level{level}")
        x = _conv(x, channels, f"depth_level{level}", kernel=5 if level else 3)
    x = keras.layers.Conv2D(16, 3, padding="same", activation="relu6", name="depth_last")(x)
    return keras.layers.Conv2D(1, 1, name="inverse_depth", dtype="float32")(x)


def _regions_head(taps):
    """DeepLabV3+ (Chen et al. 2018): atrous spatial pyramid pooling at stride 16, then a decoder with low-level skips.

    Rates 3, 6, 9 and not 6, 12, 18: our stride-16 map is 16x22, a third of the paper's.
    """
    x = _join(taps[4], taps[3], 96, "regions_top")
    branches = [_conv(x, 64, "regions_aspp0")]
    branches += [_conv(x, 64, f"regions_aspp{rate}", kernel=3, dilation=rate) for rate in (3, 6, 9)]
    x = keras.layers.Add()([_conv(keras.layers.Concatenate()(branches), 96, "regions_aspp"),
                            _pooled(x, 96, "regions_context")])  # fmt: skip
    for level, skip, channels in ((2, 32, 80), (1, 24, 56), (0, 16, 32)):
        x = _join(x, taps[level], skip, f"regions_level{level}")
        x = _conv(x, channels, f"regions_level{level}", kernel=3)
    return keras.layers.Conv2D(3, 1, name="regions", dtype="float32")(x)


def _saliency_head(taps):
    """Fixation density is smooth and needs context, an object's outline needs a little detail: decoded at stride 4."""
    x = _join(taps[4], taps[3], 64, "saliency_top")
    x = keras.layers.Add()([_conv(x, 80, "saliency_wide", kernel=5, dilation=2), _pooled(x, 80, "saliency_context")])
    for level, skip, channels in ((2, 32, 64), (1, 16, 40)):
        x = _join(x, taps[level], skip, f"saliency_level{level}")
        x = _conv(x, channels, f"saliency_level{level}", kernel=3)
    return _up(keras.layers.Conv2D(2, 1, name="saliency", dtype="float32")(x))


BUILDERS = {"inverse_depth": _depth_head, "regions": _regions_head, "saliency": _saliency_head}


def build_network(heads=HEADS):
    """Builds the network with the given heads.

    Args:
      heads: names from HEADS; the others are left out and cost nothing.

    Returns:
      keras.Model: (n, h, w, 3) float32 sRGB 0..255, sides multiples of 32 -> dict of head name -> tensor (see module).
    """
    unknown = set(heads) - set(HEADS)
    if unknown or not heads:
        raise ValueError(f"heads must be some of {', '.join(HEADS)}, got {', '.join(sorted(heads)) or 'none'}")
    image = keras.Input((None, None, 3), name="image")
    taps = build_encoder(image)
    return keras.Model(image, {head: BUILDERS[head](taps) for head in heads}, name="cinematic")


def folded(model):
    """The same network for inference alone: each batch norm is part of the convolution before it, which saves a fifth of the time.

    Args:
      model: as `build_network` gives it, with its weights.

    Returns:
      keras.Model that answers alike, to float32's precision.
    """
    norms = {layer.name: layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)}

    def clone(layer):
        config = layer.get_config()
        return type(layer).from_config(config | {"use_bias": True} if f"{layer.name}_bn" in norms else config)

    def call(layer, x, **options):
        return x if layer.name in norms else layer(x, **options)

    copy = keras.models.clone_model(model, clone_function=clone, call_function=call)
    for layer in model.layers:
        if norm := norms.get(f"{layer.name}_bn"):
            gamma, beta, mean, variance = (np.asarray(v) for v in norm.get_weights())
            gain = gamma / np.sqrt(variance + norm.epsilon)
            (kernel,) = layer.get_weights()
            by_input = isinstance(layer, keras.layers.DepthwiseConv2D)  # kernels (h, w, c, 1), else (h, w, c, filters)
            copy.get_layer(layer.name).set_weights([kernel * (gain[:, None] if by_input else gain), beta - mean * gain])
        elif layer.name not in norms:
            copy.get_layer(layer.name).set_weights(layer.get_weights())
    return copy


def save_weights(model, path):
    """Writes all weights as float16 in one compressed .npz, keyed by `layer/variable`."""
    arrays = {f"{layer.name}/{v.name}": np.asarray(v, np.float16) for layer in model.layers for v in layer.weights}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    Path(path).write_bytes(buffer.getvalue())


def load_weights(model, path):
    """Sets every weight of `model` from `path`; raises ValueError that names what is missing or has another shape."""
    with np.load(path) as stored:
        for layer in model.layers:
            for variable in layer.weights:
                key = f"{layer.name}/{variable.name}"
                if key not in stored or stored[key].shape != tuple(variable.shape):
                    raise ValueError(f"{path} has no array {key} of shape {tuple(variable.shape)}: it is of another network")
                variable.assign(stored[key].astype(np.float32))
