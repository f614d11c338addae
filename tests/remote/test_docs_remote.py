"""What docs/remote.md shows is done, with a server of S3's protocol in place of S3."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "remote.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def test_remote_md_runs(store, tmp_path):
    (code,), (commands,) = blocks("python"), blocks("sh")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | store.environment | {"PYTHONPATH": str(ROOT), "PATH": path}
    (tmp_path / "train.py").write_text(code.replace("s3://bucket", store.url))
    script = (
        'python train.py\nln -s "$XDG_CACHE_HOME"/archiver/staging/* runs\n'
        + commands.replace("s3://bucket", store.url)
    )  # fmt: skip
    result = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, (result.stdout[-3000:], result.stderr[-3000:])
    assert result.stdout.count(": whole") == 2
    assert store.files("runs/digits_models") == store.files("pushed/digits_models")
