"""The command line, `cinematic-photos COMMAND`: finds the command, its options and its config file, and tells what went wrong.

Exit codes: 0 done, 1 nothing to do or the photo was refused, 2 wrong command or something is missing, 130 interrupted.
"""

import argparse
import os
import sys

import beam_pipeline
from beam_pipeline import calibrate, config, review
from beam_pipeline.commands import DONE, WRONG, UserError, completion, doctor, models, perceive, render, run
from models.registry import ModelError

COMMANDS = {
    "run": run,
    "render": render,
    "perceive": perceive,
    "review": review,
    "calibrate": calibrate,
    "models": models,
    "doctor": doctor,
    "completion": completion,
}
CONFIGURED = ("run", "render", "perceive")  # have options enough for a file
INTERRUPTED = 130  # as shells say it


def parser():
    """The whole command line's ArgumentParser, and {command: its own}."""
    whole = argparse.ArgumentParser(
        prog="cinematic-photos",
        description="Turns photos into short clips in which a virtual camera moves through the photo.",
        epilog="Exit codes: 0 done, 1 nothing to do or refused, 2 wrong command or something is missing, 130 interrupted.",
        allow_abbrev=False,
    )
    whole.add_argument("--version", action="version", version=f"%(prog)s {beam_pipeline.__version__}")
    subparsers, own = whole.add_subparsers(dest="command", required=True, metavar="COMMAND"), {}
    for name, command in COMMANDS.items():
        own[name] = subparsers.add_parser(
            name,
            help=command.TEXT,
            description=command.TEXT,
            epilog=command.EPILOG,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(own[name])
        if name in CONFIGURED:
            own[name].add_argument("--config", metavar="TOML", help="file with options, as --print-config writes it")
            own[name].add_argument("--print-config", action="store_true", help="print what all options say, as such a file")
    return whole, own


def _parse(argv):
    """(arguments, flags that are not ours); what a config file says stands in for what the command line leaves out."""
    whole, own = parser()
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    early.add_argument("--config")
    path = early.parse_known_args(argv)[0].config
    command = next((word for word in argv if word in CONFIGURED), None)
    if not path or not command:
        return whole.parse_known_args(argv)
    tables = config.read(path)
    lists = config.apply(own[command], command, tables, CONFIGURED)
    args, flags = whole.parse_known_args(argv)
    return config.fill(args, lists), config.beam_flags(tables) + flags


def main(argv=None):
    """Runs the command line; returns the exit code."""
    try:
        args, flags = _parse(sys.argv[1:] if argv is None else list(argv))
        if flags and args.command != "run":
            raise UserError(f"unknown option {flags[0]}, see cinematic-photos {args.command} --help")
        if getattr(args, "print_config", False):
            print(config.text(args.command, args, flags), end="")
            return DONE
        return COMMANDS[args.command].run(args, flags)
    except (UserError, ModelError, config.ConfigError) as error:
        print(f"cinematic-photos: {error}", file=sys.stderr)
        return WRONG
    except BrokenPipeError:  # `| head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except KeyboardInterrupt:
        print("\ncinematic-photos: interrupted; what is written is complete, run it again", file=sys.stderr)
        return INTERRUPTED
