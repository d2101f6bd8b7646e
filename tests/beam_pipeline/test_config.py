"""Options from a file: they are what the command line would have said, and mistakes in them are told."""

import argparse
import re

import pytest

from beam_pipeline import config

COMMANDS = ("run", "render")


def parser():
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--input", action="append", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--max-artifact-score", type=float, default=1.2)
    parser.add_argument("--width", type=int, default=1080)
    parser.add_argument("--loop", action="store_true")
    parser.add_argument("--since")
    return parser


def parsed(tables, *arguments):
    with_file = parser()
    lists = config.apply(with_file, "run", tables, COMMANDS)
    return config.fill(with_file.parse_args(arguments), lists)


TABLES = {"run": {"input": ["a", "b"], "output": "c", "max-artifact-score": 1, "loop": True}, "render": {"width": 7}}


def test_a_file_says_what_the_command_line_would():
    args = parsed(TABLES)
    assert (args.input, args.output, args.max_artifact_score, args.loop, args.width) == (["a", "b"], "c", 1.0, True, 1080)


def test_the_command_line_goes_before_the_file():
    args = parsed(TABLES, "--output", "d", "--max-artifact-score", "0.5", "--input", "e")
    assert (args.input, args.output, args.max_artifact_score) == (["e"], "d", 0.5)


def test_names_may_have_underscores_and_one_value_may_stand_for_a_list():
    args = parsed({"run": {"input": "a", "output": "c", "max_artifact_score": 0.5}})
    assert (args.input, args.max_artifact_score) == (["a"], 0.5)


def test_dates_need_no_quotes(tmp_path):
    (tmp_path / "a.toml").write_text('[run]\ninput = "a"\noutput = "c"\nsince = 2024-12-31\n')
    assert parsed(config.read(str(tmp_path / "a.toml"))).since == "2024-12-31"


def test_what_is_required_is_still_required_where_no_one_says_it():
    with pytest.raises((argparse.ArgumentError, SystemExit)):
        parsed({"run": {"input": ["a"]}})


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"walk": {}}, "[walk]"),
        ({"run": {"colour": 1}}, "'colour'"),
        ({"run": {"width": "wide"}}, "no int"),
        ({"run": {"loop": "yes"}}, "no bool"),
        ({"run": {"output": 7}}, "no str"),
        ({"run": {"width": True}}, "no int"),
        ({"run": {"width": 1.5}}, "no int"),
        ({"run": {"since": {"year": 1}}}, "no str"),
        ({"run": {"config": "other.toml"}}, "'config'"),
    ],
)
def test_mistakes_are_told(tables, said):
    with pytest.raises(config.ConfigError, match=re.escape(said)):
        config.apply(parser(), "run", tables, COMMANDS)


def test_a_file_that_is_not_there_or_no_toml_is_told(tmp_path):
    with pytest.raises(config.ConfigError, match="cannot be read"):
        config.read(str(tmp_path / "gone.toml"))
    (tmp_path / "a.toml").write_text("[run\n")
    with pytest.raises(config.ConfigError, match="no TOML"):
        config.read(str(tmp_path / "a.toml"))


def test_options_of_beam_are_flags():
    tables = {"beam": {"runner": "FlinkRunner", "no_auth": True, "experiments": ["a", "b"]}}
    assert config.beam_flags(tables) == ["--runner=FlinkRunner", "--no_auth", "--experiments=a", "--experiments=b"]


def test_what_is_printed_is_read_back_as_it_was(tmp_path):
    args = parser().parse_args(["--input", 'a "b"', "--input", "été", "--output", "c", "--loop", "--width", "90"])
    flags = ["--runner=FlinkRunner", "--no_auth", "--experiments=a", "--experiments=b"]
    (tmp_path / "a.toml").write_text(config.text("run", args, flags))
    tables = config.read(str(tmp_path / "a.toml"))
    assert parsed(tables) == args
    assert config.beam_flags(tables) == flags
