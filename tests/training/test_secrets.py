"""Secrets planted wherever a script may have them stand nowhere in its archive."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import archiver
from archiver import layout
from archiver.archive.run import Run

HEX = "0123456789abcdef"

TOKENS = {
    "variable with a secret name": "ghp_" + "E" * 36,
    "option": "hf_" + "A" * 34,
    "password": "correct-horse-battery",
    "option with an equals sign": "plain-looking-value-1",
    "header": "bearerA1b2C3d4E5f6G7h8",
    "url in an argument": "p4ss.word+here",
    "signed url": "ZmFrZSBzaWduYXR1cmUgZm9yIGF6dXJl",
    "json argument": "json-borne-secret",
    "remote": "ghp_" + "R" * 36,
    "push url": "glpat-" + "Q" * 20,
    "submodule": "ghs_" + "S" * 36,
    "extra header": "extraHeaderA1b2C3d4E5",
    "branch": "xoxp-" + "B" * 24,
    "commit message": "npm_" + "C" * 36,
    "hyperparameter": "sk-proj-" + "H" * 48,
    "hyperparameter with a secret name": "short1",
    "note": "AKIA" + "N" * 16,
    "tag": "github_pat_" + "T" * 60,
    "class name": "AIza" + "K" * 35,
    "preprocessing": "pypi-" + "P" * 60,
    "callback": "sk-ant-api03-" + "D" * 40,
    "exception": "glpat-" + "X" * 20,
    "exception, by its name only": "swordfish",
    "logged": "xoxb-123456789012-" + "L" * 24,
    "untracked file": "ghp_" + "U" * 36,
    "untracked settings": HEX * 2 + HEX[:8],
    "patch": "ghp_" + "P" * 36,
    "XLA_FLAGS": "ghp_" + "F" * 36,
    "XLA_FLAGS, by its name only": "flagged-secret",
    "TF_CONFIG": "config-secret",
    "PYTHONPATH": "dop_v1_" + HEX * 4,
    "CONDA_PREFIX": "hvs." + "V" * 30,
    "not on the list": "unlisted-secret-value",
    "dotenv": "dotenv-secret-value",
    "interpreter option": "xoption-secret",
    "package's address": "ghp_" + "I" * 36,
    "private key": "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC",
    "json web token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0." + "J" * 43,
}

SCRIPT = """
import json, os, sys
import keras, numpy as np
import archiver
planted = json.load(open(os.environ["PLANTED"]))
model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
model.compile("sgd", loss="mse")
x = np.zeros((8, 4), "float32")

class Uploader(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.api_key = planted["callback"]
        self.line = "upload with " + planted["callback"]

archive = archiver.RunArchiver(
    "runs", name="a",
    hyperparameters={"api_key": planted["hyperparameter with a secret name"],
                     "line": "key is " + planted["hyperparameter"],
                     "nested": {"login": {"password": planted["password"]}}},
    notes="uploaded with " + planted["note"] + " and " + planted["json web token"],
    tags=["for " + planted["tag"]],
    preprocessing={"source": "curl -H 'x: " + planted["preprocessing"] + "'"},
    dataset_source="https://user:" + planted["password"] + "@host/d?sig=" + planted["signed url"],
)
archive.log("message", "token " + planted["logged"])
model.fit(x, x[:, :1], epochs=1, verbose=0, callbacks=[Uploader(), archive])
class Fail(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        raise RuntimeError("could not log in with " + planted["exception"] + ", password="
                           + planted["exception, by its name only"] + ", -----BEGIN PRIVATE KEY-----\\n"
                           + planted["private key"])
model.fit(x, x[:, :1], epochs=1, verbose=0, callbacks=[archive, Fail()])
"""


def git(folder: Path, *arguments: str) -> None:
    options = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "protocol.file.allow=always")
    subprocess.run(["git", *options, *arguments], cwd=folder, check=True, capture_output=True)


def plant_in_repository(folder: Path) -> None:
    (folder / "train.py").write_text(SCRIPT)
    git(folder, "init", "-q")
    git(folder, "checkout", "-q", "-b", f"for-{TOKENS['branch']}")
    git(folder, "add", "train.py")
    git(folder, "commit", "-qm", f"first, with {TOKENS['commit message']}")
    git(folder, "remote", "add", "origin", f"https://me:{TOKENS['remote']}@host.example/repo.git")
    git(folder, "remote", "set-url", "--push", "origin", f"https://oauth2:{TOKENS['push url']}@host.example/push.git")
    git(folder, "config", "http.extraheader", f"AUTHORIZATION: bearer {TOKENS['extra header']}")
    inner = folder.parent / "inner"
    inner.mkdir()
    git(inner, "init", "-q")
    git(inner, "commit", "-q", "--allow-empty", "-m", "inner")
    git(folder, "submodule", "--quiet", "add", str(inner), "libs")
    url = f"https://x-access-token:{TOKENS['submodule']}@host.example/inner.git"
    git(folder, "config", "-f", ".gitmodules", "submodule.libs.url", url)
    git(folder, "commit", "-q", "-a", "-m", "submodule")
    (folder / "train.py").write_text(SCRIPT + f"# {TOKENS['patch']}\n")
    (folder / "settings.py").write_text(f"TOKEN = '{TOKENS['untracked file']}'\n")
    (folder / "wandb.yaml").write_text(f"WANDB_API_KEY: {TOKENS['untracked settings']}\n")
    (folder / ".env").write_text(f"PASSWORD={TOKENS['dotenv']}\n")


def plant_package(folder: Path) -> Path:
    """A distribution that was installed from an address with a token in it."""
    info = folder / "site-packages" / "private-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: private\nVersion: 1.0\n")
    address = TOKENS["package's address"]
    url = f"https://{address}@host.example/private.git?token={address}"
    (info / "direct_url.json").write_text(json.dumps({"url": url, "vcs_info": {"vcs": "git", "commit_id": "a" * 40}}))
    return info.parent


def planted_environment(folder: Path) -> dict[str, str]:
    (folder / "planted.json").write_text(json.dumps(TOKENS))
    cluster = {"cluster": {"worker": ["host:1"]}, "api_key": TOKENS["TF_CONFIG"]}
    path = [str(Path(archiver.__file__).parents[1]), str(plant_package(folder)), f"/lib/{TOKENS['PYTHONPATH']}"]
    return os.environ | {
        "PLANTED": str(folder / "planted.json"),
        "PYTHONPATH": os.pathsep.join(path),
        "TF_API_TOKEN": TOKENS["variable with a secret name"],
        "KERAS_PASSWORD": TOKENS["password"],
        "XLA_FLAGS": f"--xla_dump_to={folder} --xla_dump_hlo_pipeline_re={TOKENS['XLA_FLAGS']}",
        "JAX_OPTIONS": f"--token={TOKENS['XLA_FLAGS, by its name only']} --x 1",
        "TF_CONFIG_COPY": json.dumps(cluster),
        "CONDA_PREFIX": f"/opt/{TOKENS['CONDA_PREFIX']}",
        "PIP_INDEX_URL": f"https://u:{TOKENS['not on the list']}@host/simple",
        "MY_SETTING": TOKENS["not on the list"],
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


@pytest.fixture(scope="module")
def archived(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The archive of a script that has secrets everywhere and ends with an exception."""
    folder = tmp_path_factory.mktemp("secrets")
    project = folder / "project"
    project.mkdir()
    plant_in_repository(project)
    command = [
        sys.executable, "-X", f"api_key={TOKENS['interpreter option']}", "train.py",
        f"--token={TOKENS['option']}", "--password", TOKENS["password"],
        f"--api-key={TOKENS['option with an equals sign']}", "--header", f"Authorization: Bearer {TOKENS['header']}",
        f"https://me:{TOKENS['url in an argument']}@host/x", f"https://h/b?sv=1&sig={TOKENS['signed url']}",
        json.dumps({"db": {"password": TOKENS["json argument"]}}),
    ]  # fmt: skip
    environment = planted_environment(folder)
    result = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert TOKENS["exception"] in result.stderr, f"the script ends with its own exception, not with {result.stderr}"
    return Run.open(project / "runs" / "a_models")


@pytest.mark.parametrize("where", [where for where in TOKENS if where != "class name"])
def test_a_planted_token_is_nowhere(where: str, archived: Run) -> None:
    token = TOKENS[where].encode()
    contents = {path: path.read_bytes() for path in archived.path.rglob("*") if path.is_file()}
    assert len(contents) > 20
    assert [str(path) for path, data in contents.items() if token in data] == []


def test_what_is_no_secret_is_there(archived: Run) -> None:
    assert archived.status.status == "failed"
    assert archiver.verify(archived.path).is_whole
    repository = archived.read(layout.GIT).repository
    assert repository.remotes[0].url == "https://host.example/repo.git"
    assert repository.submodules[0].url == "https://host.example/inner.git"
    assert repository.patch.withheld == "it looks like it holds a secret"
    environment = archived.read(layout.SYSTEM).environment
    assert environment["XLA_FLAGS"].endswith("--xla_dump_hlo_pipeline_re=[redacted]")
    assert environment["JAX_OPTIONS"] == "--token=[redacted] --x 1"
    assert json.loads(environment["TF_CONFIG_COPY"])["cluster"] == {"worker": ["host:1"]}
    assert archived.read(layout.PACKAGES).packages["private"].direct_url["url"] == "https://host.example/private.git"
    assert b"[redacted]" in archived.path_of(layout.RUN).read_bytes()


def test_class_names_are_redacted_too(tmp_path: Path) -> None:
    from tests.training import small

    archive = archiver.RunArchiver(tmp_path, name="a", class_names=["no", f"yes {TOKENS['class name']}"])
    model = small.model()
    x, y = small.arrays()
    model.fit(x, y, epochs=1, verbose=0, callbacks=[archive])
    found = [path for path in archive.run.path.rglob("*") if path.is_file() and b"AIzaK" in path.read_bytes()]
    assert found == []
