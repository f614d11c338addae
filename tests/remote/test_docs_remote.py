"""What docs/remote.md shows is done, with a server of S3's protocol in place of S3."""

import re
import shlex
from pathlib import Path

from tests.remote.conftest import command

PAGE = (Path(__file__).parents[2] / "docs" / "remote.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def test_remote_md_runs(store, tmp_path, monkeypatch, capsys):
    (code,), (commands,) = blocks("python"), blocks("sh")
    monkeypatch.chdir(tmp_path)
    script = tmp_path / "train.py"
    script.write_text(code.replace("s3://bucket", store.url))
    exec(compile(script.read_text(), str(script), "exec"), {"__name__": "__main__"})
    (staging,) = (tmp_path / "cache" / "archiver" / "staging").iterdir()
    (tmp_path / "runs").symlink_to(staging)
    lines = commands.replace("s3://bucket", store.url).splitlines()
    said = "".join(command(capsys, *shlex.split(line)[1:]) for line in lines)
    assert said.count(": whole") == 2
    assert store.files("runs/digits_models") == store.files("pushed/digits_models")
