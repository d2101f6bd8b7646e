"""Lets shells complete the command line."""

TEXT = "Print what lets a shell complete options and names."
EPILOG = '  eval "$(cinematic-photos completion bash)"    in ~/.bashrc; zsh and tcsh alike'
SHELLS = ("bash", "zsh", "tcsh")


def add_arguments(parser):
    parser.add_argument("shell", choices=SHELLS)


def run(args, flags):
    import shtab

    from beam_pipeline import cli

    whole, _ = cli.parser()
    print(shtab.complete(whole, args.shell))
    return 0
