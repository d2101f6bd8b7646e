"""One pass of the networks over photos, through Beam's RunInference."""

import time
from collections.abc import Mapping, Sequence

import apache_beam as beam
import cv2
import numpy as np
from apache_beam.ml.inference.base import ModelHandler, RunInference

from models.registry import Networks
from renderer.child import peak_mb
from transforms.elements import Perception, Photo
from transforms.stage import InFlight


def see(photo: Photo, maps: Mapping[str, np.ndarray]) -> Perception:
    """The Perception of a Photo from the networks' {role: maps}: at their own sizes, depth of free scale and shift."""
    people = maps["people"]
    return Perception(photo, maps["depth"], people[..., 1] + people[..., 2], people[..., 2], maps["saliency"])


def infer(networks: Networks, photos: Sequence[Photo]) -> list[Perception]:
    """Runs the networks (a `models.registry.Networks`) on a list of Photo. Returns a list of Perception."""
    answers = networks.batch([photo.rgb for photo in photos])
    return [see(photo, maps) for photo, maps in zip(photos, answers, strict=True)]


class NetworksHandler(ModelHandler):
    """The networks as RunInference knows a model: loaded once a process, however many threads work in it.

    Takes and returns what travels on the rail (`transforms.stage`): photos in flight get their Perception, outcomes pass.
    A network that fails is a programming error or a wrong adapter, never the photo's fault: it raises.
    """

    def __init__(self, models, mirror, batch):
        super().__init__(min_batch_size=1, max_batch_size=batch)
        self.models, self.mirror = models, mirror
        self.passed = beam.metrics.Metrics.counter("cinematic", "infer_passed")
        self.cpu = beam.metrics.Metrics.distribution("cinematic", "infer_cpu_ms")

    def load_model(self):
        cv2.setNumThreads(1)  # as TensorFlow's: N workers on N cores must not fight
        return Networks(self.models, self.mirror)

    def get_metrics_namespace(self):
        return "cinematic"

    def run_inference(self, batch, model, inference_args=None):
        flying = [element for element in batch if isinstance(element, InFlight)]
        start = time.process_time()  # of the process: TensorFlow computes on threads of its own
        seen = iter(infer(model, [element.value for element in flying]))
        seconds = (time.process_time() - start) / max(len(flying), 1)
        for element in batch:
            if not isinstance(element, InFlight):
                yield element
                continue
            self.passed.inc()
            self.cpu.update(round(seconds * 1000))
            yield element.after("infer", next(seen), seconds, peak_mb())


class Infer(beam.PTransform):
    """Photo to Perception on the rail.

    Args:
      models: {role: HANDLE[#ADAPTER]}.
      mirror: average with the mirrored photo.
      batch: photos that the networks see at once. One on a CPU, where more only wait for each other and hold memory.
    """

    def __init__(self, models, mirror=False, batch=1):
        super().__init__()
        self.handler = NetworksHandler(models, mirror, batch)

    def expand(self, flow):
        return flow | RunInference(self.handler)
