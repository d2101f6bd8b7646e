"""Loads the networks: the built-in one, or for any role a TF-Hub handle, a SavedModel directory or a .tflite file.

A model is named as `HANDLE` or `HANDLE#ADAPTER`. HANDLE is `builtin`, an https:// TF-Hub handle, a local or gs://
SavedModel directory, or a path that ends in .tflite. ADAPTER, one of ADAPTERS, says what the network wants and what its
answer means; without it the role's default is taken.
"""

import contextlib
import dataclasses
import hashlib
import multiprocessing
import os
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import cv2
import numpy as np

ROLES = ("depth", "people", "saliency")
BUILTIN = "builtin"
BUILTIN_WEIGHTS = Path(__file__).parent / "weights" / "builtin.npz"
HEAD_OF_ROLE = {"depth": "inverse_depth", "people": "regions", "saliency": "saliency"}
ANSWERS = {
    "depth": "inverse_depth",
    "people": "people",
    "saliency": "saliency",
    "object": "object",
}  # names outside and in `readable`
# Input sizes (h, w) of the built-in network, few, so that a photo between 9:16 and 16:9 is squeezed by 17 % at most. All are near
# 145,000 pixels: with the second run's weights, soft-edge F1 on the development sets rose from 0.334 at 90,000 to 0.386,
# boundary F1 of people from 0.531 to 0.579. With the third's, 197,000 brought 0.405 for 0.387 and 0.608 for 0.592, and a false
# alarm.
INPUT_SIZES = ((384, 384), (320, 448), (288, 512), (448, 320), (512, 288))


class ModelError(ValueError):
    """A model cannot be had or does not answer as its adapter says. The message says what to do."""


@dataclasses.dataclass(frozen=True)
class Adapter:
    """How to ask a network and read its answer.

    Attributes:
      size: input (height, width); None takes it from the model's own signature, and where that leaves it open, INPUT_SIZES.
      offset, scale: the network gets (sRGB 0..255 - offset) * scale, a channel each.
      dtype: of the input, `float32` or `uint8`.
      channels_first: the network wants (1, 3, h, w).
      output: name of the output; None takes the only one.
      meaning: depth: `inverse_depth`, `distance`, or `log_inverse_depth`;
        people: `probability`, `logits` or `labels` of classes; saliency: `probability` or `logits`.
      person_class, head_class: index of the class in an answer of several; None where there is no such class.
    """

    size: tuple[int, int] | None = None
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: tuple[float, float, float] = (1 / 255.0,) * 3
    dtype: str = "float32"
    channels_first: bool = False
    output: str | None = None
    meaning: str = "probability"
    person_class: int | None = None
    head_class: int | None = None


ADAPTERS = {
    "depth": Adapter(meaning="inverse_depth"),
    "distance": Adapter(meaning="distance"),
    "people": Adapter(meaning="probability"),
    "saliency": Adapter(meaning="probability"),
    # what `python -m models.export` writes, for whoever has trained weights of their own
    "exported_depth": Adapter(scale=(1.0,) * 3, output="inverse_depth", meaning="inverse_depth"),
    "exported_people": Adapter(scale=(1.0,) * 3, output="person", meaning="probability"),
    "exported_saliency": Adapter(scale=(1.0,) * 3, output="saliency", meaning="probability"),
    # MiDaS v2.1 small (https://tfhub.dev/intel/midas/v2_1_small/1 as SavedModel, .../lite/... as .tflite)
    "midas_v21_small": Adapter(size=(256, 256), channels_first=True, meaning="inverse_depth"),
    "midas_v21_small_lite": Adapter(
        size=(256, 256), offset=(123.675, 116.28, 103.53), scale=(1 / 58.395, 1 / 57.12, 1 / 57.375), meaning="inverse_depth"
    ),
    # DeepLabV3 on PASCAL VOC, the .tflite file of https://tfhub.dev/tensorflow/lite-model/deeplabv3/1/metadata/2: 21 logits
    "deeplabv3_pascal": Adapter(size=(257, 257), offset=(127.5,) * 3, scale=(1 / 127.5,) * 3, meaning="logits", person_class=15),
    # the quantised export of the same, whose arg-max is part of the graph
    "deeplabv3_pascal_labels": Adapter(size=(513, 513), scale=(1.0,) * 3, dtype="uint8", meaning="labels", person_class=15),
}


def parse(role, model):
    """(handle, Adapter) of a model's name. Raises ModelError for an unknown adapter or a local path that is not there."""
    handle, _, adapter = model.partition("#")
    if handle == BUILTIN:
        if adapter:
            raise ModelError(f"--{role}-model {model}: the built-in network takes no adapter.")
        return handle, None
    name = adapter or role
    if name not in ADAPTERS:
        raise ModelError(f"--{role}-model {model}: unknown adapter {name!r}, known are {', '.join(sorted(ADAPTERS))}.")
    if "://" not in handle and not os.path.exists(handle):
        raise ModelError(
            f"--{role}-model {model}: {handle} is not there. Give a TF-Hub handle, a SavedModel directory or a .tflite file."
        )
    return handle, ADAPTERS[name]


def digest(models):
    """Hex digest of what the networks of a {role: model} are: file contents where they are local, else the handle."""
    sha = hashlib.sha256()
    for role in ROLES:
        handle, adapter = parse(role, models[role])
        sha.update(f"{role} {adapter}\n".encode())
        path = BUILTIN_WEIGHTS if handle == BUILTIN else Path(handle)
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        if "://" in handle:
            sha.update(handle.encode())
            continue
        for file in files:
            if file.is_file():
                sha.update(file.name.encode() + hashlib.sha256(file.read_bytes()).digest())
    return sha.hexdigest()


@contextlib.contextmanager
def _standard_error_closed():
    """TensorFlow's C++ greets every import on file descriptor 2, whatever its log level; errors come as exceptions."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _tensorflow():
    """TensorFlow with one thread an op: N processes on N cores must not fight."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _standard_error_closed():
        import tensorflow as tf

        try:
            tf.config.threading.set_intra_op_parallelism_threads(1)
            tf.config.threading.set_inter_op_parallelism_threads(1)
        except RuntimeError:
            pass  # TensorFlow has run in this process already; a notebook or a test set its own threads
        tf.config.list_physical_devices()  # the second greeting comes with the first look at devices
    return tf


class Builtin:
    """The built-in network with the heads of the given roles.

    Call with a list of photos (h, w, 3) uint8; returns a {role: maps} for each: depth (h', w'), people (h', w', 3) probabilities
    of background, body and head, saliency (h', w') and object (h', w') in [0, 1], all float32. Saliency is what framing keeps;
    object, the part of it that says how far the salient object reaches, is for those who want to see or measure it.
    """

    def __init__(self, roles, weights=BUILTIN_WEIGHTS):
        if not Path(weights).exists():
            raise ModelError(f"The built-in weights are missing at models/weights/{Path(weights).name}: reinstall the package.")
        tf = _tensorflow()
        import keras

        from models import network

        if keras.backend.backend() != "tensorflow":
            raise ModelError(f"Inference needs Keras on TensorFlow, not on {keras.backend.backend()}: unset KERAS_BACKEND.")
        self.roles, self.model = roles, network.build_network([HEAD_OF_ROLE[role] for role in roles], folded=True)
        network.load_weights(self.model, weights)

        def answer(images):
            return network.readable(self.model(images, training=False))

        # One trace a size, whatever the batch, when it is first met: the network's upsampling must know its size beforehand.
        self.run = {size: tf.function(answer, [tf.TensorSpec((None, *size, 3), tf.float32)]) for size in INPUT_SIZES}

    def __call__(self, photos):
        sizes = [input_size(rgb) for rgb in photos]
        answers = [None] * len(photos)
        for size in set(sizes):
            here = [i for i, other in enumerate(sizes) if other == size]
            images = [cv2.resize(photos[i], size[::-1], interpolation=cv2.INTER_AREA) for i in here]
            out = {name: maps.numpy() for name, maps in self.run[size](np.stack(images).astype(np.float32)).items()}
            for k, i in enumerate(here):
                answers[i] = {name: out[head][k] for name, head in ANSWERS.items() if head in out}
        return answers


def input_size(rgb):
    """The one of INPUT_SIZES that squeezes a photo (h, w, 3) least."""
    aspect = np.log(rgb.shape[1] / rgb.shape[0])
    return min(INPUT_SIZES, key=lambda size: abs(np.log(size[1] / size[0]) - aspect))


def _softmax(logits):
    e = np.exp(logits - logits.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def _sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


class External:
    """A network from elsewhere, behind its adapter. Call with a photo (h, w, 3) uint8; returns the role's maps.

    Raises ModelError where the answer is not what the adapter says; threads may share it.
    """

    def __init__(self, role, handle, adapter):
        self.role, self.handle, self.adapter = role, handle, adapter
        try:
            opened = _open_tflite(handle, adapter) if handle.endswith(".tflite") else _open_saved_model(handle, adapter)
        except ModelError:
            raise
        except Exception as error:
            raise ModelError(f"{handle} cannot be loaded as a model for {role} ({type(error).__name__}: {error}).") from error
        self.size, self.answer = opened

    def __call__(self, rgb):
        adapter = self.adapter
        height, width = adapter.size or self.size or input_size(rgb)
        image = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
        image = ((image - np.float32(adapter.offset)) * np.float32(adapter.scale)).astype(adapter.dtype)
        out = np.asarray(self.answer(image.transpose(2, 0, 1)[None] if adapter.channels_first else image[None]), np.float32)
        shape, out = out.shape, np.squeeze(out)
        if out.ndim != 2 and not (out.ndim == 3 and self.role == "people" and adapter.meaning != "labels"):
            raise ModelError(f"{self.handle} answers with shape {shape}, its adapter for {self.role} expects one map.")
        if not np.isfinite(out).all():
            raise ModelError(
                f"{self.handle} answers with values that are no numbers: its adapter gives it another input than it wants."
            )
        return getattr(self, f"_read_{self.role}")(out)

    def _read_depth(self, out):
        if self.adapter.meaning == "distance":
            return 1.0 / np.maximum(out, 1e-6)
        return np.exp(out) if self.adapter.meaning == "log_inverse_depth" else out

    def _read_people(self, out):
        adapter, none = self.adapter, np.zeros(out.shape[:2], np.float32)
        if adapter.meaning == "labels":
            person = (out == adapter.person_class).astype(np.float32)
            head = none if adapter.head_class is None else (out == adapter.head_class).astype(np.float32)
        elif out.ndim == 2:
            person, head = _sigmoid(out) if adapter.meaning == "logits" else out, none
        elif adapter.person_class is None or adapter.person_class >= out.shape[-1]:
            raise ModelError(f"{self.handle} answers with {out.shape[-1]} classes: its adapter must say which is the person.")
        else:
            p = _softmax(out) if adapter.meaning == "logits" else out
            person, head = p[..., adapter.person_class], none if adapter.head_class is None else p[..., adapter.head_class]
        return np.stack([1 - np.maximum(person, head), np.maximum(person - head, 0), head], -1)

    def _read_saliency(self, out):
        return _sigmoid(out) if self.adapter.meaning == "logits" else np.clip(out, 0, 1)


def _only(outputs, adapter, handle):
    """The name of the output that an adapter means; raises ModelError where that is not clear."""
    if adapter.output in outputs:
        return adapter.output
    if adapter.output or len(outputs) != 1:
        raise ModelError(f"{handle} has outputs {', '.join(sorted(outputs))}: its adapter must name one.")
    return next(iter(outputs))


def _open_tflite(path, adapter):
    from ai_edge_litert.interpreter import Interpreter

    if "://" in path:
        with _tensorflow().io.gfile.GFile(path, "rb") as file:
            net = Interpreter(model_content=file.read(), num_threads=1)
    else:
        net = Interpreter(path, num_threads=1)
    (given,), outputs = net.get_input_details(), {detail["name"]: detail for detail in net.get_output_details()}
    wanted = outputs[_only(outputs, adapter, path)]["index"]
    sides = given["shape_signature"][2:4] if adapter.channels_first else given["shape_signature"][1:3]
    any_size = (np.asarray(sides) < 1).any()
    integers = np.issubdtype(given["dtype"], np.integer)
    scale, zero = given["quantization"]
    net.allocate_tensors()
    lock, shape = threading.Lock(), tuple(int(s) for s in given["shape"])  # an interpreter serves one call at a time

    def answer(x):
        nonlocal shape
        if adapter.dtype == "float32" and integers and scale:
            limits = np.iinfo(given["dtype"])
            x = np.clip(np.rint(x / scale + zero), limits.min, limits.max)
        with lock:
            if shape != x.shape:
                if not any_size:
                    raise ModelError(f"{path} wants input of shape {shape}, its adapter gives {x.shape}.")
                net.resize_tensor_input(given["index"], x.shape)
                net.allocate_tensors()
                shape = x.shape
            net.set_tensor(given["index"], x.astype(given["dtype"]))
            net.invoke()
            value = net.get_tensor(wanted)
            # after the call: where the output's size follows the input's, its details do as well
            factor, offset = next(d["quantization"] for d in net.get_output_details() if d["index"] == wanted)
        return (value.astype(np.float32) - offset) * factor if factor else value

    return None if any_size else tuple(int(s) for s in sides), answer


def _open_saved_model(handle, adapter):
    tf = _tensorflow()
    if handle.startswith("https://"):
        import tensorflow_hub

        model = tensorflow_hub.load(handle)
    else:
        model = tf.saved_model.load(handle)
    if "serving_default" not in model.signatures:
        raise ModelError(f"{handle} has no `serving_default` signature: export it with one.")
    run = model.signatures["serving_default"]
    ((name, spec),) = run.structured_input_signature[1].items()
    output = _only(run.structured_outputs, adapter, handle)
    shape = spec.shape.as_list()[2:4] if adapter.channels_first else spec.shape.as_list()[1:3]
    size = tuple(shape) if None not in shape else None
    return size, lambda x: run(**{name: tf.constant(x)})[output].numpy()


class Networks:
    """The networks of some or all roles, {role: model}, loaded.

    Args:
      models: {role: HANDLE[#ADAPTER]}.
      mirror: answer with the mean of what is seen in the photo and in its mirror image, at twice the price.

    Call with a photo (h, w, 3) uint8; returns {role: maps} as `Builtin` does. `batch` takes a list of photos.
    """

    def __init__(self, models, mirror=False):
        parsed = {role: parse(role, model) for role, model in models.items()}
        builtin = [role for role in parsed if parsed[role][0] == BUILTIN]
        self.builtin = Builtin(builtin) if builtin else None
        self.external = {role: External(role, *parsed[role]) for role in parsed if parsed[role][0] != BUILTIN}
        self.mirror = mirror

    def __call__(self, rgb):
        return self.batch([rgb])[0]

    def batch(self, photos):
        """A list of {role: maps}, one a photo, in their order."""
        if not self.mirror:
            return self._answers(photos)
        answers = self._answers([*photos, *(np.ascontiguousarray(rgb[:, ::-1]) for rgb in photos)])
        pairs = zip(answers[: len(photos)], answers[len(photos) :], strict=True)
        return [{name: (maps[name] + mirrored[name][:, ::-1]) / 2 for name in maps} for maps, mirrored in pairs]

    def _answers(self, photos):
        answers = self.builtin(photos) if self.builtin else [{} for _ in photos]
        for role, network in self.external.items():
            for maps, rgb in zip(answers, photos, strict=True):
                maps[role] = network(rgb)
        return answers


def _try(models):
    Networks(models)(np.zeros((64, 64, 3), np.uint8))


def check(models):
    """Raises ModelError where a network from elsewhere among {role: model} cannot be loaded, or answers not as its adapter says.

    In a process of its own: a process that has run TensorFlow must not fork workers.
    """
    external = {role: model for role, model in models.items() if parse(role, model)[0] != BUILTIN}
    if not external:
        return
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        try:
            pool.submit(_try, external).result()
        except BrokenProcessPool as error:
            raise ModelError(
                f"Loading {', '.join(external.values())} ended the process that tried: the file may be damaged."
            ) from error
