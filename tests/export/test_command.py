"""`archiver export`, and `verify` and `show` of what it makes, in processes of their own."""

import subprocess
import sys
from pathlib import Path

import pytest


def archiver(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    result = subprocess.run(
        [sys.executable, "-m", "archiver", *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in result.stderr
    return result


def test_each_form_lies_beside_the_run(run, tmp_path):
    for form, suffix in {"bag": "_bag", "zip": ".zip", "croissant": ".croissant.json"}.items():
        made = archiver("export", "tiny_models", "--to", form, cwd=tmp_path)
        assert made.returncode == 0, made.stderr
        assert f"{run.path}{suffix}" in made.stdout
        again = archiver("export", "tiny_models", "--to", form, cwd=tmp_path)
        assert again.returncode == 7
        assert "never overwritten" in again.stderr
    verified = archiver("verify", "tiny_models.zip", "tiny_models_bag", "tiny_models", cwd=tmp_path)
    assert verified.returncode == 0
    assert "3 of 3 archives are whole" in verified.stdout
    assert verified.stdout.count("hard links") == 2  # one line for each, not one for each file
    assert archiver("verify", ".", cwd=tmp_path).stdout.endswith("2 of 2 archives are whole\n")
    for name in ("tiny_models.zip", "tiny_models_bag"):
        shown = archiver("show", name, cwd=tmp_path)
        assert shown.returncode == 0
        assert run.seal_id in shown.stdout
        assert f"{name}/" in "".join(shown.stdout.split())


@pytest.mark.parametrize("form", ["zip", "bag"])
def test_a_public_copy_in_another_form(form, run, tmp_path):
    made = archiver("export", "tiny_models", "--public", "--to", form, "--output", "public", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    verified = archiver("verify", "public", cwd=tmp_path)
    assert verified.returncode == 0, verified.stdout
    assert f"this is a public copy of the archive with the seal id {run.seal_id}" in verified.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["public", "tiny_models"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--to", "tape"), 2, "tape"),
        ((), 2, "--to"),
        (("--to", "bag", "--experiment", "x"), 2, "Expected --to mlflow"),
        (("--to", "zip", "--license", "MIT"), 2, "Expected --to croissant"),
        (("--to", "mlflow", "--output", "x"), 2, "Expected --to bag or --to zip or --to croissant"),
        (("--to", "zip", "--output", "tiny_models/files/x.zip"), 2, "inside of the archive"),
    ],
)
def test_what_does_not_fit_is_said(arguments, code, message, run, tmp_path):
    result = archiver("export", "tiny_models", *arguments, cwd=tmp_path)
    assert result.returncode == code
    assert message in result.stderr
    assert sorted(each.name for each in tmp_path.iterdir()) == ["tiny_models"]


def test_what_is_no_run(tmp_path):
    (tmp_path / "a.zip").write_text("x")
    assert archiver("export", "nowhere", "--to", "bag", cwd=tmp_path).returncode == 4
    assert archiver("verify", "a.zip", cwd=tmp_path).returncode == 13
