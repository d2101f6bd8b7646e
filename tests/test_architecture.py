"""The house stays as it is drawn: which room may import which."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("beam_pipeline", "transforms", "models", "renderer")
MAY_IMPORT = {
    "beam_pipeline": {"beam_pipeline", "transforms", "models", "renderer"},
    "transforms": {"transforms", "models", "renderer"},
    "models": {"models"},
    "renderer": {"renderer"},
}


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def modules(room):
    return sorted((ROOT / room).rglob("*.py"))


@pytest.mark.parametrize("room", ROOMS)
def test_imports_run_one_way(room):
    for path in modules(room):
        taken = {name.split(".")[0] for name in imports(path)} & set(ROOMS)
        assert taken <= MAY_IMPORT[room], f"{path.relative_to(ROOT)} imports {taken - MAY_IMPORT[room]}"


@pytest.mark.parametrize("room", ["models", "renderer"])
def test_networks_and_renderer_know_no_beam(room):
    for path in modules(room):
        assert not any(name.startswith("apache_beam") for name in imports(path)), path


def test_the_drawing_process_never_loads_tensorflow():
    """Mesa's LLVM and TensorFlow's crash in one process."""
    for path in modules("renderer"):
        assert not any(name.split(".")[0] in ("tensorflow", "keras") for name in imports(path)), path


def test_no_module_is_a_drawer_for_leftovers():
    for room in ROOMS:
        assert not {path.stem for path in modules(room)} & {"utils", "util", "common", "helpers", "misc"}
