"""One photo, without a pipeline: for notebooks and the command line.

with Animator(Settings(width=720)) as animator:
    clip = animator.animate(Path("beach.jpg").read_bytes())
    Path("beach.mp4").write_bytes(clip.video)
"""

from collections.abc import Mapping
from types import TracebackType

import numpy as np

from models.registry import Networks
from renderer.studio import Studio
from transforms import infer, mesh, picture, render, repair, score, trajectory
from transforms.elements import Clip, Photo, Scene, Shot
from transforms.settings import Settings


class Animator:
    """Animates photos one by one. Holds the networks, once they are needed, and the process that draws; `close` ends that.

    Every step is there by itself: `decode`, `build`, `shoot`, `render`; `animate` is all of them. They raise `Rejected` for a
    photo that deserves no clip and `Failed` for one that cannot be worked on (see `transforms.elements`), each with its reason.

    Args:
      settings: what clips are like.
      studio: what draws; its own by default.
    """

    def __init__(self, settings: Settings | None = None, studio: Studio | None = None) -> None:
        self.settings = settings or Settings()
        self.studio = studio or Studio(self.settings.renderer)
        self._networks: dict[tuple[str, ...], Networks] = {}

    def __enter__(self) -> "Animator":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self.studio.close()

    def decode(self, data: bytes) -> Photo:
        """A file's bytes to a Photo."""
        return picture.decode(data, self.settings.max_megapixels, self.settings.min_side)

    def build(self, photo: Photo, maps: Mapping[str, np.ndarray] | None = None) -> Scene:
        """A Photo to a Scene.

        Args:
          photo: the Photo.
          maps: in place of a network's answer, of any size: `depth` (h, w) float32, larger = nearer, trusted as it is; `people`
            (h, w, 3) float32 probabilities of background, body and head; `saliency` (h, w) float32 in [0, 1].
        """
        maps = dict(maps or {})
        wanted = tuple(role for role in self.settings.models if role not in maps)
        if wanted and wanted not in self._networks:
            models = {role: self.settings.models[role] for role in wanted}
            self._networks[wanted] = Networks(models, self.settings.mirror_average)
        answers = self._networks[wanted](photo.rgb) if wanted else {}
        perception = infer.see(photo, answers | maps)
        return mesh.build_scene(repair.repair(perception, trusted_depth="depth" in maps))

    def shoot(self, scene: Scene) -> Shot:
        """A Scene to the Shot that tears least."""
        return trajectory.shoot(scene, self.settings)

    def render(self, shot: Shot) -> Clip:
        """A Shot to a Clip, where its artifact score allows it."""
        accepted = score.accept(shot, self.settings.max_artifact_score)
        return render.render(self.studio, accepted, self.settings.fps, self.settings.format)

    def animate(self, data: bytes, maps: Mapping[str, np.ndarray] | None = None) -> Clip:
        """A file's bytes to a Clip. `maps` as of `build`."""
        return self.render(self.shoot(self.build(self.decode(data), maps)))
