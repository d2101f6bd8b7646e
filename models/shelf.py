"""Networks that take a role of the built-in one, kept under a name with their checksum.

A shelf is a folder: `NAME/card.json` says role, adapter, source and SHA-256, beside the model itself, a file `model.tflite` or a
folder `saved_model`.
"""

import dataclasses
import hashlib
import json
import os
import re
import shutil
import tempfile
from pathlib import Path

from models.registry import BUILTIN, ROLES, ModelError, check, parse

NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
CARD = "card.json"


@dataclasses.dataclass(frozen=True)
class Card:
    """What a shelf knows of a model.

    Attributes:
      name: what the command line calls it.
      role: depth, people or saliency.
      adapter: name of the adapter, as `models.registry.ADAPTERS` has it.
      source: the handle or file name that it was added from.
      sha256: of its files, names and contents.
    """

    name: str
    role: str
    adapter: str
    source: str
    sha256: str


def default_folder() -> Path:
    """Where the shelf is: CINEMATIC_PHOTOS_MODELS, else the user's data folder."""
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(os.environ.get("CINEMATIC_PHOTOS_MODELS") or Path(data) / "cinematic-photos" / "models")


def checksum(path: Path) -> str:
    """SHA-256 of a file, or of all files below a folder with their names."""
    sha = hashlib.sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            name = str(file.relative_to(path)) if path.is_dir() else ""
            sha.update(f"{name}\0{file.stat().st_size}\0".encode() + file.read_bytes())
    return sha.hexdigest()


def _model_of(folder: Path) -> Path:
    file = folder / "model.tflite"
    return file if file.exists() else folder / "saved_model"


def cards(shelf: Path) -> list[Card]:
    """What is on the shelf, by name."""
    return [Card(**json.loads(path.read_text())) for path in sorted(shelf.glob(f"*/{CARD}"))]


def add(shelf: Path, role: str, model: str, name: str) -> Card:
    """Puts a model on the shelf, once it has answered as its adapter says.

    Args:
      shelf: the folder.
      role: of ROLES.
      model: HANDLE[#ADAPTER] as the command line takes it: a TF-Hub handle, a SavedModel folder or a .tflite file.
      name: to call it by from now on.

    Raises ModelError with a sentence for the user.
    """
    if role not in ROLES:
        raise ModelError(f"A model's role is one of {', '.join(ROLES)}, not {role!r}.")
    if not NAME.fullmatch(name) or name == BUILTIN:
        raise ModelError(f"A model's name is of a-z, 0-9, dot, dash and underscore, and not {BUILTIN!r}: {name!r} will not do.")
    if (shelf / name).exists():
        raise ModelError(f"There is a model {name!r} already: choose another name, or remove {shelf / name}.")
    handle, _ = parse(role, model)
    if handle == BUILTIN:
        raise ModelError("The built-in network is on no shelf.")
    check({role: model})
    shelf.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=shelf, prefix=".adding-") as temporary:  # a name appears with its whole model
        folder = Path(temporary) / name
        folder.mkdir()
        if handle.startswith("https://"):
            import tensorflow_hub

            shutil.copytree(tensorflow_hub.resolve(handle), folder / "saved_model")
        elif Path(handle).is_dir():
            shutil.copytree(handle, folder / "saved_model")
        else:
            shutil.copy(handle, folder / "model.tflite")
        source = handle if "://" in handle else Path(handle).name
        card = Card(name, role, model.partition("#")[2] or role, source, checksum(_model_of(folder)))
        (folder / CARD).write_text(json.dumps(dataclasses.asdict(card), indent=2) + "\n")
        folder.rename(shelf / name)
    return card


def verify(shelf: Path, card: Card) -> None:
    """Raises ModelError where a model's files are not what they were, or it does not answer as its adapter says."""
    path = _model_of(shelf / card.name)
    if not path.exists() or checksum(path) != card.sha256:
        raise ModelError(f"{card.name} is not what it was when it was added: remove {shelf / card.name} and add it again.")
    check({card.role: f"{path}#{card.adapter}"})


def resolve(shelf: Path, role: str, model: str) -> str:
    """HANDLE#ADAPTER of a name on the shelf; anything else as it is. Raises ModelError for a model of another role."""
    folder = shelf / model
    if not NAME.fullmatch(model) or not (folder / CARD).is_file():
        return model
    card = Card(**json.loads((folder / CARD).read_text()))
    if card.role != role:
        raise ModelError(f"--{role}-model {model}: that model is for {card.role}.")
    return f"{_model_of(folder)}#{card.adapter}"
