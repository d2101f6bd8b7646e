"""What travels to the workers: the sdist of --setup_file, and what the Dockerfile copies."""

import json
import re
import shutil
import tarfile

import pytest

import flex_template
from beam_pipeline import cli
from tests.dataflow.conftest import ROOMS, ROOT, SETUP, build_sdist, clean_python, run

DATA = {
    "models/card.md",
    "models/weights/builtin.npz",
    *(f"models/configs/{name}.toml" for name in ("first", "second", "third")),
    *(f"beam_pipeline/page/{name}" for name in ("index.html", "page.js", "style.css")),
}
MADE = re.compile(r"PKG-INFO|setup\.cfg|cinematic_photos\.egg-info/[^/]+")  # by setuptools, along the way


def code(root):
    return {path.relative_to(root).as_posix() for room in ROOMS for path in (root / room).rglob("*.py")}


def contents(sdist):
    """{name: bytes} of the files of an sdist, below its one folder."""
    with tarfile.open(sdist) as archive:
        files = {member.name.partition("/")[2]: archive.extractfile(member).read() for member in archive if member.isfile()}
    return {name: data for name, data in files.items() if not MADE.fullmatch(name)}


def test_the_sdist_holds_code_weights_and_what_setup_reads_and_nothing_else(sdist):
    assert contents(sdist).keys() == code(ROOT) | DATA | set(SETUP)


def test_the_sdist_holds_what_is_in_the_repository_byte_by_byte(sdist):
    for name, data in contents(sdist).items():
        assert data == (ROOT / name).read_bytes(), name


def test_an_sdist_can_be_made_of_an_sdist_so_that_jobs_can_be_submitted_from_one(sdist, tmp_path):
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.iterdir()
    assert contents(build_sdist(unpacked, tmp_path)) == contents(sdist)


def test_what_is_installed_from_the_sdist_has_its_weights_and_its_command(sdist, tmp_path):
    python = clean_python(tmp_path / "venv", sdist)
    text = (
        "import beam_pipeline, models, renderer, transforms; from models import registry; print(registry.BUILTIN_WEIGHTS);"
        "print(*(m.__file__ for m in (beam_pipeline, models, renderer, transforms)), sep='\\n')"
    )
    places = run([python, "-c", text], cwd=tmp_path).split()
    assert len(places) == 5 and all(place.startswith(str(tmp_path / "venv")) for place in places), places
    assert (ROOT / "models/weights/builtin.npz").read_bytes() == open(places[0], "rb").read()
    assert "cinematic-photos" in run([tmp_path / "venv/bin/cinematic-photos", "--version"], cwd=tmp_path)


# The image


@pytest.fixture(scope="module")
def dockerfile():
    """The instructions of the Dockerfile, as (name, rest), continued lines joined and comments gone."""
    lines = (line.strip() for line in (ROOT / "Dockerfile").read_text().splitlines())
    text = "\n".join(line for line in lines if line and not line.startswith("#")).replace("\\\n", " ")
    return [tuple(line.split(None, 1)) for line in text.splitlines()]


def copies(dockerfile):
    """(sources, destination) of what is copied from the project's folder."""
    rests = [rest.split() for name, rest in dockerfile if name == "COPY" and not rest.startswith("--from")]
    return [(rest[:-1], rest[-1]) for rest in rests]


def locked(name):
    (version,) = re.findall(rf"^{re.escape(name)}==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    return version


def test_the_image_boots_with_the_beam_that_the_lock_pins(dockerfile):
    (tag,) = [rest for name, rest in dockerfile if name == "COPY" and "beam_python" in rest]
    python, version = re.search(r"apache/beam_python([\d.]+)_sdk:(\S+)", tag).groups()
    assert version == locked("apache-beam")
    (base,) = [rest for name, rest in dockerfile if name == "FROM" and rest.startswith("python:")]
    assert base.startswith(f"python:{python}-")
    (launcher,) = [rest for name, rest in dockerfile if name == "FROM" and "template-launcher" in rest]
    assert f"python{python.replace('.', '')}-" in launcher


def test_the_image_copies_everything_that_the_sdist_holds(dockerfile, sdist, tmp_path):
    """Followed to the end: what it copies, as it lays it out, builds the same sdist."""
    for sources, destination in copies(dockerfile):
        for source in sources:
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, tmp_path / "image" / destination, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                (tmp_path / "image" / destination).mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / source, tmp_path / "image" / destination)
    shutil.copy(ROOT / "requirements.lock", tmp_path / "image/source")  # the image has it beside the source
    assert contents(build_sdist(tmp_path / "image/source", tmp_path)) == contents(sdist)


def test_docker_sees_what_the_dockerfile_copies_and_nothing_more(dockerfile):
    seen = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert seen == {source for sources, _ in copies(dockerfile) for source in sources}
    assert "*" in (ROOT / ".dockerignore").read_text().splitlines()


def test_every_package_of_the_image_is_pinned():
    for name in ("requirements.lock", "requirements-gpu.lock"):
        for line in (ROOT / name).read_text().splitlines():
            assert line.startswith("#") or re.match(r"[\w.-]+==[\w.]+( ; .+)?$", line), line


def test_the_boot_program_of_beam_is_what_a_worker_starts(dockerfile):
    (entry,) = [rest for name, rest in dockerfile if name == "ENTRYPOINT"]
    assert json.loads(entry) == ["/opt/apache/beam/boot"]
    (beam,) = [rest for name, rest in dockerfile if name == "COPY" and "beam_python" in rest]
    assert beam.split()[-1] == "/opt/apache/beam"


# The flex template


def template():
    return json.loads((ROOT / "flex_template.json").read_text())


def test_the_template_starts_the_script_that_the_image_has(dockerfile):
    variables = dict(part.split("=", 1) for name, rest in dockerfile if name == "ENV" for part in rest.split())
    (workdir,) = [rest for name, rest in dockerfile if name == "WORKDIR"]
    assert variables["FLEX_TEMPLATE_PYTHON_PY_FILE"] == f"{workdir}/flex_template.py"
    assert any("flex_template.py" in sources for sources, _ in copies(dockerfile))


def test_every_parameter_of_the_template_is_an_option_of_the_command():
    from apache_beam.options.pipeline_options import PipelineOptions

    options, beam = cli.parser()[1]["run"]._option_string_actions, PipelineOptions([]).get_all_options()
    for parameter in template()["parameters"]:
        option = f"--{parameter['name'].replace('_', '-')}"
        assert option in options or parameter["name"] in beam, parameter["name"]
        assert {"label", "helpText"} <= parameter.keys()
        switch = option in options and options[option].nargs == 0
        assert (parameter.get("paramType") == "BOOLEAN") == switch, parameter["name"]
        required = option in options and options[option].required
        assert parameter.get("isOptional", False) == (not required), parameter["name"]


def test_parameters_become_the_options_that_they_mean():
    given = ["--input=gs://b/photos/", "--max_artifact_score=0.8", "--prune=true", "--redo=false", "--since=", "--job_name=n"]
    assert flex_template.arguments(given) == [
        "--input", "gs://b/photos/", "--max-artifact-score", "0.8", "--prune", "--job_name=n",
    ]  # fmt: skip


def test_a_switch_that_is_neither_true_nor_false_is_refused():
    with pytest.raises(SystemExit, match="--prune is true or false, got maybe"):
        flex_template.arguments(["--prune=maybe"])
