"""Secrets planted wherever a script may have them stand nowhere in its archive."""

import os
import subprocess
import sys

import archiver

TOKENS = {
    "environment": "ghp_" + "E" * 36,
    "argument": "hf_" + "A" * 34,
    "password": "correct-horse-battery",
    "remote": "ghp_" + "R" * 36,
    "hyperparameter": "sk-" + "H" * 48,
    "note": "AKIA" + "N" * 16,
    "exception": "glpat-" + "X" * 20,
    "logged": "xoxb-123456789012-" + "L" * 24,
    "untracked": "ghp_" + "U" * 36,
    "patch": "ghp_" + "P" * 36,
}

SCRIPT = """
import os, sys
import keras, numpy as np
import archiver
model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
model.compile("sgd", loss="mse")
x = np.zeros((8, 4), "float32")
archive = archiver.RunArchiver(
    "runs", name="a", hyperparameters={"api_key": os.environ["T_PASSWORD"], "line": "key is " + os.environ["T_HYPER"]},
    notes="uploaded with " + os.environ["T_NOTE"],
    dataset_source="https://user:" + os.environ["T_PASSWORD"] + "@host/d",
)
archive.log("message", "token " + os.environ["T_LOGGED"])
model.fit(x, x[:, :1], epochs=1, verbose=0, callbacks=[archive])
class Fail(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        raise RuntimeError("could not log in with " + os.environ["T_EXCEPTION"])
model.fit(x, x[:, :1], epochs=1, verbose=0, callbacks=[archive, Fail()])
"""


def test_planted_tokens_are_nowhere(tmp_path):
    (tmp_path / "train.py").write_text(SCRIPT)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for command in (
        ["init", "-q"], ["add", "train.py"], ["commit", "-qm", "first"],
        ["remote", "add", "origin", f"https://me:{TOKENS['remote']}@host.example/repo.git"],
    ):  # fmt: skip
        subprocess.run([*git, *command], cwd=tmp_path, check=True)
    (tmp_path / "train.py").write_text(SCRIPT + f"# {TOKENS['patch']}\n")
    (tmp_path / "settings.py").write_text(f"TOKEN = '{TOKENS['untracked']}'\n")
    environment = os.environ | {
        "TF_API_TOKEN": TOKENS["environment"], "KERAS_PASSWORD": TOKENS["password"], "T_PASSWORD": TOKENS["password"],
        "T_HYPER": TOKENS["hyperparameter"], "T_NOTE": TOKENS["note"], "T_LOGGED": TOKENS["logged"],
        "T_EXCEPTION": TOKENS["exception"], "TF_CPP_MIN_LOG_LEVEL": "3",
    }  # fmt: skip
    command = [sys.executable, "train.py", f"--token={TOKENS['argument']}", "--password", TOKENS["password"]]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert TOKENS["exception"] in result.stderr, "the script ends with its own exception"
    run = archiver.Run.open(tmp_path / "runs" / "a_models")
    assert run.status.status == "failed"
    assert archiver.verify(run.path).is_whole
    contents = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    assert len(contents) > 20
    for where, token in TOKENS.items():
        found = [str(path) for path, data in contents.items() if token.encode() in data]
        assert not found, (where, found)
    assert b"host.example/repo.git" in (run.path / "environment" / "git.json").read_bytes()
    assert b"[redacted]" in next(run.path.glob("configs/*_run.json")).read_bytes()
