"""Keeps networks of other roles under names."""

import dataclasses
import json
import sys

from beam_pipeline import console
from beam_pipeline.commands import DONE, WRONG
from models import shelf
from models.registry import ADAPTERS, BUILTIN, ROLES, ModelError

TEXT = "List, add and verify networks that take a role of the built-in one."
EPILOG = (
    "They are kept, with their checksums, in CINEMATIC_PHOTOS_MODELS or the user's data folder.\n\n"
    "  cinematic-photos models add depth midas_v21_small.tflite#midas_v21_small_lite --name midas\n"
    "  cinematic-photos run --depth-model midas ..."
)


def add_arguments(parser):
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|add|verify")
    listing = actions.add_parser("list", help="what there is", allow_abbrev=False)
    listing.add_argument("--json", action="store_true", help="a JSON list in place of lines")
    adding = actions.add_parser("add", help="keep a network under a name", allow_abbrev=False)
    adding.add_argument("role", choices=ROLES)
    adding.add_argument(
        "model",
        metavar="HANDLE[#ADAPTER]",
        help=f"TF-Hub handle, SavedModel folder or .tflite file, and its adapter: {', '.join(sorted(ADAPTERS))}",
    )
    adding.add_argument("--name", required=True, help="what to call it")
    actions.add_parser("verify", help="hold files against checksums, and ask each network for an answer", allow_abbrev=False)


def run(args, flags):
    folder = shelf.default_folder()
    if args.action == "add":
        card = shelf.add(folder, args.role, args.model, args.name)
        print(f"{card.name} ({card.role}) is kept in {folder}: --{card.role}-model {card.name}")
        return DONE
    cards = shelf.cards(folder)
    if args.action == "list":
        if args.json:
            print(json.dumps([dataclasses.asdict(card) for card in cards], indent=2))
            return DONE
        print(f"{BUILTIN}: {', '.join(ROLES)}; comes with the package")
        for card in cards:
            print(f"{card.name}: {card.role}, adapter {card.adapter}, from {card.source}, sha256 {card.sha256[:12]}")
        return DONE
    status = DONE
    for card in cards:
        try:
            shelf.verify(folder, card)
            print(f"{console.coloured('good', 'green')} {card.name}")
        except ModelError as error:
            status = WRONG
            print(f"{console.coloured('bad', 'red', stream=sys.stderr)} {error}", file=sys.stderr)
    return status
