"""The wheel holds what is tracked, and works from another directory in an environment without TensorFlow."""

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from archiver.testing import tiny_run

ROOT = Path(__file__).parent.parent
CHECKS = ROOT / ".venv-docs" / "bin"
MOVED = {"templates/": "archiver/_data/templates/", "schemas/": "archiver/_data/schemas/"}

pytestmark = [pytest.mark.packaging, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def distributions(tmp_path_factory) -> Path:
    """A folder with the sdist, and the wheel that is built of it."""
    target = tmp_path_factory.mktemp("distributions")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(target), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return target


@pytest.fixture(scope="module")
def wheel(distributions) -> Path:
    (found,) = distributions.glob("*.whl")
    return found


def tracked() -> set[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    names = set()
    for name in listed.splitlines():
        if name.startswith("archiver/"):
            names.add(name)
        for folder, inside in MOVED.items():
            if name.startswith(folder):
                names.add(inside + name.removeprefix(folder))
    return names


def test_the_wheel_holds_the_tracked_files_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == tracked()


def test_the_sdist_holds_what_the_wheel_is_built_of_and_nothing_else(distributions):
    (sdist,) = distributions.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        tops = {name.split("/")[1] for name in archive.getnames()}
    files = {"CHANGELOG.md", "LICENSE", "README.md", "pyproject.toml", "PKG-INFO", ".gitignore"}
    assert tops == {"archiver", "schemas", "templates"} | files


def check(program: str, *arguments: str | Path, **options: str) -> subprocess.CompletedProcess[str]:
    if not (CHECKS / program).exists():
        assert not os.environ.get("CI"), "`make documentation` makes the environment of these checks"
        pytest.skip("needs twine and check-wheel-contents: `make documentation` installs them")
    return subprocess.run([CHECKS / program, *arguments], capture_output=True, text=True, check=False, **options)


def test_other_peoples_checks_pass(distributions, wheel):
    """What an index asks for: metadata, a long description that renders, a wheel without strays."""
    checked = check("twine", "check", "--strict", *sorted(distributions.iterdir()))
    assert (checked.returncode, checked.stdout.count("PASSED")) == (0, 2), checked.stdout + checked.stderr
    checked = check("check-wheel-contents", wheel)
    assert checked.returncode == 0, checked.stdout
    render = "import sys; from readme_renderer.markdown import render; print(render(sys.stdin.read()))"
    rendered = check("python", "-c", render, input=(ROOT / "README.md").read_text(encoding="utf-8"))
    assert "<table>" in rendered.stdout, rendered.stderr


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    program = folder / "bin" / "python"
    install = ["-m", "pip", "install", "--quiet", "--no-compile", "--constraint", str(ROOT / "constraints.txt")]
    subprocess.run([program, *install, str(wheel)], check=True, cwd=folder)
    return program


def run(python: Path, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    command = [str(python.parent / "archiver"), *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_verify_and_show_without_tensorflow(python, tmp_path):
    archive = tiny_run(tmp_path / "runs")
    modules = subprocess.run(
        [python, "-c", "import importlib.util as u; print([n for n in ('keras', 'tensorflow') if u.find_spec(n)])"],
        capture_output=True, text=True, check=True, cwd=tmp_path,
    )  # fmt: skip
    assert modules.stdout.strip() == "[]"
    result = run(python, "verify", "--deep", "--hash", "all", str(archive.path), folder=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert ": whole" in result.stdout
    result = run(python, "show", str(archive.path), folder=tmp_path)
    assert result.returncode == 0
    assert "complete (epochs), sealed" in result.stdout


def test_it_says_what_to_install_for_training(python, tmp_path):
    command = [python, "-c", "import archiver; archiver.RunArchiver"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert 'pip install "keras-archiver[tensorflow]"' in result.stderr


def test_a_run_can_be_finished_with_the_wheel_alone(python, tmp_path):
    """Templates and schemas come with the wheel: sealing needs both."""
    archive = tiny_run(tmp_path / "runs", sealed=False)
    assert run(python, "verify", str(archive.path), folder=tmp_path).returncode == 1
    result = run(python, "finalize", str(archive.path), folder=tmp_path)
    assert result.returncode == 0, result.stderr
    assert run(python, "verify", "--deep", str(archive.path), folder=tmp_path).returncode == 0
    assert "\n# tiny\n" in (archive.path / "README.md").read_text(encoding="utf-8")
    assert (archive.path / "README.html").exists()
