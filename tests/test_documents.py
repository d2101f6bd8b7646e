"""What documents say of the code is so."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md"), *ROOT.glob("*/README.md")])
CONSTANT = re.compile(r"^\| `([\w.]+)` \| ([^|]+) \|", re.M)


def constant(name):
    """The value that a dotted name has: of a module, or of a class in it."""
    parts = name.split(".")
    for count in range(len(parts) - 1, 0, -1):
        try:
            value = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            value = getattr(value, part)
        return value
    raise LookupError(name)


@pytest.mark.parametrize(("name", "told"), CONSTANT.findall((ROOT / "docs" / "method.md").read_text()))
def test_each_constant_of_the_method_is_the_codes(name, told):
    assert str(constant(name)) == told.strip()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
    for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if "://" not in link:
            assert (page.parent / link).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_are_named_are_there(page):
    for name in re.findall(r"`((?:beam_pipeline|transforms|models|renderer|tests|benchmarks|docs)/[\w/.]+)`", page.read_text()):
        assert (ROOT / name).exists(), name
