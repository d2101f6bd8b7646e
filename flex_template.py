"""What a flex template starts: `cinematic-photos run` with the parameters of the template.

A parameter is `--name=value`, with underscores, and a switch has a value, too. Those of Beam's own options go through.
"""

import sys

from beam_pipeline.cli import main, parser


def arguments(parameters):
    """The command line that parameters mean. Empty ones are left out: a template's form hands them over as they are."""
    ours, result = parser()[1]["run"]._option_string_actions, []
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        option = name.replace("_", "-")
        if option not in ours:
            result.append(parameter)
        elif ours[option].nargs == 0:
            if value.lower() not in ("true", "false", ""):
                sys.exit(f"flex_template.py: {name} is true or false, got {value}")
            result += [option] if value.lower() == "true" else []
        elif value:
            result += [option, value]
    return result


if __name__ == "__main__":
    sys.exit(main(["run", *arguments(sys.argv[1:])]))
