"""Source that is found and copied, seen from scripts that really run."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest

import archiver
from archiver.collect import source_files
from archiver.collect.source import SourceLimits, copy_source, find_source, looks_secret
from archiver.collect.source_files import is_installed, is_source_name, project_root
from archiver.records.base import Unavailable
from archiver.records.source import SourceRecord

Git = Callable[..., str]

TOKEN = "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4xY7zA0cD3fG6"

COPY = """
from pathlib import Path
from archiver.collect.source import copy_source
archive = Path("runs/x_models").absolute()
archive.mkdir(parents=True, exist_ok=True)
_ = (archive / "journal.jsonl").write_text("")
print(copy_source(archive).model_dump_json(by_alias=True))
"""


def run(folder: Path, *arguments: str, text: str | None = None, **variables: str) -> SourceRecord:
    completed = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder, env=os.environ | variables, input=text, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert completed.returncode == 0, completed.stderr
    record = SourceRecord.model_validate_json(completed.stdout)
    check_copies(record, folder / "runs" / "x_models")
    return record


def check_copies(record: SourceRecord, archive: Path) -> None:
    """The record and the folder agree, byte for byte."""
    folder = archive / "environment" / "source"
    on_disk = {
        f"environment/source/{path.relative_to(folder).as_posix()}" for path in folder.rglob("*") if path.is_file()
    }
    assert on_disk == {part.path for part in record.files}
    for part in record.files:
        data = (archive / part.path).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (part.size_bytes, part.sha256)
    assert record.total_bytes == sum(part.size_bytes for part in record.files)
    assert record.left_out_count >= len(record.left_out)


def roles(record: SourceRecord) -> dict[str, str]:
    return {part.path.removeprefix("environment/source/"): part.role for part in record.files}


def reasons(record: SourceRecord) -> dict[str, str]:
    return {part.original_path: part.reason for part in record.left_out}


@pytest.fixture
def project(git: Git, repository: Path) -> Path:
    """A repository whose script imports a package, with tracked and untracked files."""
    package = repository / "models"
    package.mkdir()
    (package / "__init__.py").write_text("from models import layers\n")
    (package / "layers.py").write_bytes("# Schönheit\r\nwidth = 3\r\n".encode("latin-1"))
    (package / "layers.py").write_text("width = 3\n")
    (repository / "never_imported.py").write_text("")
    (repository / "train.py").write_text("import numpy, json, models\n" + COPY)
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "project")
    return repository


def test_a_script_its_modules_and_untracked_files(project: Path) -> None:
    (project / "notes").mkdir()
    (project / "notes" / "new idea.md").write_text("# idea\n")
    (project / "config.yaml").write_text("lr: 0.1\n")
    record = run(project, "train.py")
    assert roles(record) == {
        "train.py": "entry",
        "models/__init__.py": "module",
        "models/layers.py": "module",
        "config.yaml": "untracked",
        "notes/new idea.md": "untracked",
    }
    assert record.entry == "environment/source/train.py"
    assert record.root == str(project)
    assert {part.module for part in record.files if part.role == "module"} == {"models", "models.layers"}
    for part in record.files:
        assert (project / "runs" / "x_models" / part.path).read_bytes() == (project / part.original_path).read_bytes()


def test_from_another_folder_the_root_stays(project: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    record = run(elsewhere, str(project / "train.py"))
    assert record.root == str(project)
    assert roles(record)["train.py"] == "entry"


def test_without_a_repository_the_root_is_the_folder_of_the_script(tmp_path: Path, git: Git) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    (folder / "helper.py").write_text("")
    (folder / "train.py").write_text("import helper\n" + COPY)
    (folder / "notes.md").write_text("git does not say that it is untracked")
    record = run(folder, "train.py")
    assert record.root == str(folder)
    assert roles(record) == {"train.py": "entry", "helper.py": "module"}


def test_modules_outside_the_root(project: Path, tmp_path: Path) -> None:
    library = tmp_path / "library"
    (library / "pkg" / "sub").mkdir(parents=True)
    (library / "pkg" / "__init__.py").write_text("")
    (library / "pkg" / "sub" / "__init__.py").write_text("")
    (library / "pkg" / "sub" / "mod.py").write_text("x = 1\n")
    (project / "train.py").write_text("import pkg.sub.mod\n" + COPY)
    record = run(project, "train.py", PYTHONPATH=str(library))
    outside = {path for path in roles(record) if path.startswith("outside/")}
    assert outside == {"outside/pkg/__init__.py", "outside/pkg/sub/__init__.py", "outside/pkg/sub/mod.py"}
    serves = subprocess.run(
        [sys.executable, "-P", "-c", "import pkg.sub.mod as m; print(m.x)"],
        env=os.environ | {"PYTHONPATH": str(project / "runs/x_models/environment/source/outside")},
        cwd=tmp_path, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert serves.stdout == "1\n"


def test_a_module_as_entry(project: Path) -> None:
    (project / "jobs").mkdir()
    (project / "jobs" / "__init__.py").write_text("")
    (project / "jobs" / "__main__.py").write_text(COPY)
    (project / "jobs" / "fit.py").write_text(COPY)
    record = run(project, "-m", "jobs.fit")
    assert record.entry == "environment/source/jobs/fit.py"
    assert next(part.module for part in record.files if part.role == "entry") == "jobs.fit"


def test_a_package_as_entry(project: Path) -> None:
    (project / "jobs").mkdir()
    (project / "jobs" / "__init__.py").write_text("")
    (project / "jobs" / "__main__.py").write_text(COPY)
    record = run(project, "-m", "jobs")
    assert record.entry == "environment/source/jobs/__main__.py"
    assert next(part.module for part in record.files if part.role == "entry") == "jobs.__main__"


def test_no_file_was_started(project: Path) -> None:
    for arguments, text, expected in (
        (("-c", COPY), None, "-c"),
        ((), COPY, "not started with a file"),
        (("-i", "-c", COPY), "", "-c"),
        (("-i",), COPY, "at a prompt"),
        (("-c", "import sys; sys.modules['ipykernel'] = sys\n" + COPY), None, "notebook"),
        (
            ("-m", "timeit", "-n1", "-r1", "-s", COPY + "import os, sys; sys.stdout.flush(); os._exit(0)"),
            None,
            "timeit",
        ),
    ):
        record = run(project, *arguments, text=text)
        assert isinstance(record.entry, Unavailable)
        assert expected in record.entry.unavailable
        assert record.root == str(project)
        subprocess.run(["rm", "-r", project / "runs"], check=True)


def test_secrets_are_left_out_with_the_reason(project: Path) -> None:
    (project / "models" / "layers.py").write_text(f"token = '{TOKEN}'\n")
    (project / "settings.toml").write_text('[db]\npassword = "hunter2"\n')
    (project / "settings.json").write_text(json.dumps({"db": {"api_key": "hunter2"}}))
    (project / "run.sh").write_text("export WANDB_API_KEY=hunter2\n")
    (project / "notes.txt").write_text("see https://ada:hunter2@example.org\n")
    for name in (".env", "id_rsa", "server.pem", "credentials.json", "kaggle.json", ".hidden.py", "data.csv"):
        (project / name).write_text("hunter2")
    (project / ".secrets").mkdir()
    (project / ".secrets" / "x.py").write_text("hunter2")
    record = run(project, "train.py")
    assert reasons(record) == dict.fromkeys(
        ("models/layers.py", "settings.toml", "settings.json", "run.sh", "notes.txt"), "it looks like it holds a secret"
    )
    everything = b"".join(path.read_bytes() for path in (project / "runs").rglob("*") if path.is_file())
    assert TOKEN.encode() not in everything
    assert b"hunter2" not in everything
    assert TOKEN not in record.model_dump_json()


def test_an_entry_that_holds_a_secret(project: Path) -> None:
    (project / "train.py").write_text(COPY + f"# {TOKEN}\n")
    record = run(project, "train.py")
    assert "looks like it holds a secret" in record.entry.unavailable  # type: ignore[union-attr]


def test_ordinary_settings_are_no_secrets() -> None:
    for name, text in {
        "pyproject.toml": '[dependencies]\nauth0-python = "^4.7"\npassword-strength = "*"\ntokenizers = ">=0.15"\n',
        "config.yaml": "max_tokens: 100\npassword: ${PASSWORD}\nauth: true\npad_token: '[PAD]'\nsecret: null\n",
        "run.sh": 'export HF_TOKEN="$1"\nexport API_KEY=$(cat key)\nTOKENIZERS_PARALLELISM=false\n',
        "tokenizer_config.json": '{"pad_token": "<pad>", "bos_token": "<s>", "model_max_length": 512}',
        "train.py": "password = input()\ntoken = sequence[index]\n",
        "broken.json": "{",
        "requirements.txt": "password-strength==0.1\ngit+ssh://git@github.com/o/r.git\n",
    }.items():
        assert not looks_secret(name, text.encode()), name


def test_limits(project: Path) -> None:
    (project / "large.txt").write_text("x" * 3000)
    for number in range(6):
        (project / f"note-{number}.md").write_text("x" * 500)
    (project / "train.py").write_text(
        COPY.replace("copy_source(archive)", "copy_source(archive, limits=SourceLimits(2000, 3000, 5))").replace(
            "import copy_source", "import copy_source, SourceLimits"
        )
    )
    record = run(project, "train.py")
    assert record.entry == "environment/source/train.py"
    assert len(record.files) == 5
    assert reasons(record)["large.txt"] == "it is larger than 2000 bytes"
    assert reasons(record)["note-5.md"] == "5 files are copied already"
    (project / "train.py").write_text((project / "train.py").read_text().replace("3000, 5", "1000, 50"))
    subprocess.run(["rm", "-r", project / "runs"], check=True)
    record = run(project, "train.py")
    assert reasons(record)["note-5.md"] == "with it the copies would be larger than 1000 bytes"
    assert record.total_bytes <= 1000


def test_odd_files(project: Path) -> None:
    (project / "Readme.md").write_text("1")
    (project / "README.md").write_text("2")
    (project / "line\nfeed.md").write_text("3")
    (project / os.fsdecode(b"no-\xff-text.md")).write_text("4")
    os.symlink("/etc/passwd", project / "link.txt")
    os.mkfifo(project / "pipe.txt")
    (project / "inner").mkdir()
    subprocess.run(["git", "init", "-q", project / "inner"], check=True)
    (project / "inner" / "theirs.py").write_text("")
    record = run(project, "train.py")
    assert "README.md" in roles(record)
    assert "case or form" in reasons(record)["Readme.md"]
    assert reasons(record)["line\nfeed.md"] == "its name cannot stand in a manifest"
    assert reasons(record)["no-\\udcff-text.md"] == "its name cannot stand in a manifest"
    assert not {"link.txt", "pipe.txt", "inner/theirs.py"} & set(roles(record))


def test_archives_are_not_copied_into_archives(project: Path) -> None:
    first = run(project, "train.py")
    for name in ("y_models", "deeper/z_models"):
        other = project / "runs" / name
        (other / "configs").mkdir(parents=True)
        (other / "journal.jsonl").write_text("")
        (other / "configs" / "z.json").write_text("{}")
    assert roles(run(project, "train.py")) == roles(first)


def test_an_installed_module_a_lazy_module_and_a_broken_one(project: Path, tmp_path: Path) -> None:
    installed = tmp_path / "venv" / "lib" / "site-packages"
    installed.mkdir(parents=True)
    (installed / "theirs.py").write_text("")
    (project / "train.py").write_text(
        "import sys, types, importlib.util\n"
        f"sys.path.insert(0, {str(installed)!r})\n"
        "import theirs\n"
        "class Lazy(types.ModuleType):\n"
        "    def __getattribute__(self, name): raise RuntimeError('was asked')\n"
        "sys.modules['lazy'] = Lazy('lazy')\n"
        "sys.modules['none'] = None\n"
        "sys.modules['number'] = 3\n"
        "sys.modules['gone'] = types.ModuleType('gone'); sys.modules['gone'].__file__ = '/nowhere/gone.py'\n"
        "sys.modules['odd'] = types.ModuleType('odd'); sys.modules['odd'].__file__ = 3\n" + COPY
    )
    assert roles(run(project, "train.py")) == {"train.py": "entry"}


def test_a_script_behind_a_link(project: Path, tmp_path: Path) -> None:
    os.symlink(project, tmp_path / "shortcut")
    record = run(project, str(tmp_path / "shortcut" / "train.py"))
    assert record.entry == "environment/source/train.py"
    assert roles(record)["models/layers.py"] == "module"


def test_the_home_folder_is_no_project(git: Git, tmp_path: Path) -> None:
    home = tmp_path / "home"
    git(home, "init", "-q")
    (home / "diary.txt").write_text("dear diary")
    work = home / "work"
    work.mkdir()
    (work / "train.py").write_text(COPY)
    (home / "train.py").write_text(COPY)
    assert project_root(work / "train.py", work) == work
    assert roles(run(work, "train.py")) == {"train.py": "entry"}
    record = run(home, "train.py")
    assert roles(record) == {"train.py": "entry"}
    assert record.root == "~"


def test_a_disk_that_refuses(project: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / "environment").write_text("a file where a folder should be")
    (project / "note.md").write_text("")
    record = copy_source(blocked, project)
    assert record.files == ()
    assert reasons(record)["note.md"].startswith("it could not be written: ")


def test_what_pytest_itself_is() -> None:
    assert is_installed(pytest.__file__)
    assert is_installed(json.__file__)
    assert is_installed(re.__file__)
    assert is_installed(copy_source.__code__.co_filename)
    assert not is_installed(__file__)


@pytest.mark.parametrize(
    "name", ["a.py", "a/b.ipynb", "x.TOML", "a/token.py", "auth.md", "tokens.txt", "keyboard.json"]
)
def test_source_names(name: str) -> None:
    assert is_source_name(name)


@pytest.mark.parametrize(
    "name",
    [".env", "a/.x/b.py", ".hidden.py", "x.pem", "id_rsa", "data.csv", "a.pyc", "api_key.txt", "secrets.yaml",
     "keys.json", "client_secret.json", "kaggle.json", "service-account.json", "password.txt", "Makefile", "x.env"],
)  # fmt: skip
def test_other_names(name: str) -> None:
    assert not is_source_name(name)


def test_finding_without_an_entry(project: Path) -> None:
    (project / "note.md").write_text("")
    found = [file for file in find_source(None, project) if file.role == "untracked"]
    assert [file.path for file in found] == [project / "note.md"]
    assert SourceLimits().files == 2000


def test_a_program_that_is_one_file(project: Path) -> None:
    """A zipapp: what runs are members of the zip file."""
    (project / "app").mkdir()
    (project / "app" / "__main__.py").write_text("import inner.tool\n" + COPY)
    (project / "app" / "inner").mkdir()
    (project / "app" / "inner" / "__init__.py").write_text("")
    (project / "app" / "inner" / "tool.py").write_text("x = 1\n")
    subprocess.run([sys.executable, "-m", "zipapp", "-c", "app", "-o", "train.pyz"], cwd=project, check=True)
    record = run(project, "train.pyz")
    assert record.entry == "environment/source/train.pyz/__main__.py"
    assert record.root == str(project)
    copied = project / "runs" / "x_models" / "environment" / "source" / "train.pyz"
    assert (copied / "inner" / "tool.py").read_text() == "x = 1\n"
    assert {part.module for part in record.files if part.role == "module"} == {"inner", "inner.tool"}


SPAWN = """
import multiprocessing
def work():
{body}
if __name__ == "__main__":
    process = multiprocessing.get_context("{method}").Process(target=work)
    process.start()
    process.join()
    raise SystemExit(process.exitcode)
"""


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_in_a_child_process(method: str, project: Path) -> None:
    body = "".join(f"    {line}\n" for line in (COPY + "import sys; sys.stdout.flush()").splitlines())
    (project / "train.py").write_text("import models\n" + SPAWN.format(body=body, method=method))
    record = run(project, "train.py")
    assert record.entry == "environment/source/train.py"
    assert roles(record)["models/layers.py"] == "module"


def test_a_script_that_another_one_runs(project: Path) -> None:
    (project / "runner.py").write_text("import runpy, sys\nrunpy.run_path(sys.argv[1], run_name='__main__')\n")
    record = run(project, "runner.py", "train.py")
    assert record.entry == "environment/source/train.py"
    (project / "runner.py").write_text("import runpy, sys\nrunpy.run_path(sys.argv[1])\n")
    subprocess.run(["rm", "-r", project / "runs"], check=True)
    record = run(project, "runner.py", "train.py")
    assert record.entry == "environment/source/runner.py"
    assert roles(record)["train.py"] == "module"


def test_under_pytest(project: Path) -> None:
    (project / "test_it.py").write_text("import models\ndef test_it():\n" + "".join(
        f"    {line}\n" for line in COPY.replace("print(", "open('record.json', 'w').write(").splitlines()
    ))  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(Path(archiver.__file__).parents[1])}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"]
    subprocess.run(command, cwd=project, env=environment, check=True, capture_output=True)
    record = SourceRecord.model_validate_json((project / "record.json").read_text())
    assert "pytest" in record.entry.unavailable  # type: ignore[union-attr]
    assert roles(record)["test_it.py"] == "module"
    assert roles(record)["models/layers.py"] == "module"


def test_own_code_that_is_installed_as_a_link(project: Path, tmp_path: Path) -> None:
    """As `pip install -e` leaves it: a `.pth` file among the packages that points to the user's folder, whose package
    lies in a namespace."""
    own = tmp_path / "own" / "src" / "lab" / "signals"
    own.mkdir(parents=True)
    (own / "__init__.py").write_text("")
    (own / "filters.py").write_text("order = 4\n")
    packages = tmp_path / "venv" / "lib" / "site-packages"
    packages.mkdir(parents=True)
    (packages / "__editable__.lab.pth").write_text(f"{tmp_path / 'own' / 'src'}\n")
    (project / "train.py").write_text(
        f"import site; site.addsitedir({str(packages)!r})\nimport lab.signals.filters\n" + COPY
    )
    record = run(project, "train.py")
    assert roles(record) == {
        "train.py": "entry",
        "outside/lab/signals/__init__.py": "module",
        "outside/lab/signals/filters.py": "module",
    }


def test_folders_that_are_no_source(project: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "my-env"], cwd=project, check=True)
    (project / "my-env" / "mine.py").write_text("")
    (project / "my-env" / ".gitignore").unlink(missing_ok=True)
    (project / "web" / "node_modules" / "left-pad").mkdir(parents=True)
    (project / "web" / "node_modules" / "left-pad" / "package.json").write_text("{}")
    (project / "labels").mkdir()
    for number in range(120):
        (project / "labels" / f"{number}.json").write_text("{}")
    (project / "labels" / "read.py").write_text("")
    record = run(project, "train.py")
    assert set(roles(record)) == {"train.py", "models/__init__.py", "models/layers.py", "labels/read.py"}
    assert reasons(record) == {
        "my-env/": "it is a virtual environment",
        "web/node_modules/": "it is a folder of installed code",
        "labels/*.json": "it holds more than 100 files *.json: they look like data",
    }


def test_the_folder_was_removed(project: Path, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    (project / "train.py").write_text(
        f"import os; os.chdir({str(gone)!r}); os.rmdir({str(gone)!r})\n"
        + COPY.replace('Path("runs/x_models").absolute()', f"Path({str(project / 'runs/x_models')!r})")
    )
    assert run(project, str(project / "train.py")).entry == "environment/source/train.py"


def test_what_calls_itself_a_module_and_has_no_dictionary() -> None:
    """The libraries of cffi are such."""

    class Library:
        __slots__ = ()

        @property
        def __class__(self) -> type:
            return types.ModuleType

    assert isinstance(Library(), types.ModuleType)
    assert source_files._file_of(Library()) is None
    assert source_files._file_of(types) == types.__file__
