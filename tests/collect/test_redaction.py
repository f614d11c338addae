"""What is secret goes, what is not stays."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.collect.redaction import (
    REDACTED,
    hide_home,
    is_secret_name,
    redact_arguments,
    redact_json,
    redact_message,
    redact_remote,
    redact_text,
)
from archiver.collect.variables import allowed_environment

BODY = "aB3dE6gH9jK2mN5pQ8sT1vW4xY7zA0cD3fG6"

TOKENS = [
    "ghp_" + BODY,
    "gho_" + BODY,
    "ghs_" + BODY,
    "github_pat_" + BODY + "_" + BODY,
    "glpat-" + BODY[:20],
    "hf_" + BODY[:34],
    "sk-" + BODY,
    "sk-proj-" + BODY + "-" + BODY,
    "sk-ant-api03-" + BODY,
    "sk_live_" + BODY[:24],
    "AKIA" + "IOSFODNN7EXAMPLE",
    "ASIA" + "IOSFODNN7EXAMPLE",
    "AIza" + "SyA" + BODY[:32],
    "xoxb-" + "123456789012-" + BODY[:24],
    "npm_" + BODY,
    "pypi-" + "AgEIcHlwaS5vcmc" + BODY,
    "nvapi-" + BODY,
    "gldt-" + BODY[:20],
    "dop_v1_" + "0123456789abcdef" * 4,
    "dckr_pat_" + BODY[:27],
    "dapi" + "0123456789abcdef" * 2,
    "hvs." + BODY,
    "SG." + BODY[:22] + "." + BODY,
    "shpat_" + "0123456789abcdef" * 2,
    "xai-" + BODY + BODY,
    "xapp-1-" + BODY,
    "pcsk_" + BODY + "_" + BODY,
    "lsv2_pt_" + "0123456789abcdef" * 2 + "_0123456789",
    "tskey-auth-" + BODY,
    "GOCSPX-" + BODY[:28],
    "AGE-SECRET-KEY-1" + "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L" * 2,
    "ATATT3" + BODY + BODY,
    "123456789:AA" + BODY[:33],
    "eyJhcGlfYWRkcmVzcyI6" + BODY,
    ".".join(["eyJhbGciOiJIUzI1NiJ9", "eyJzdWIiOiIxMjM0In0", BODY]),
]

ORDINARY = [
    "0123456789abcdef0123456789abcdef01234567",
    "commit = '0123456789abcdef0123456789abcdef01234567'",
    "sha256: " + hashlib.sha256(b"x").hexdigest(),
    "token_sha256 = '" + hashlib.sha256(b"x").hexdigest() + "'",
    "/data/authors/keyboard/tokenizer.json",
    "tokenizer authors max_tokens=5 keyboard secretary bypass monkey",
    "https://example.org/a/b?page=3#top",
    "https://unpkg.com/package@1.0/file.js",
    "http://localhost:8080/@scope/x",
    "git+ssh://git@github.com/owner/project.git",
    "git@github.com:owner/project.git",
    "sk-learn-contrib-and-other-long-words-0123456789",
    "task-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "hf_transformers_are_not_a_token_at_all",
    "f'postgres://{user}:{password}@{host}/base'",
    "https://<user>:<password>@host/",
    "https://$USER:${PASSWORD}@host/",
    "token = tokenizer.next_token_of_1234567890(text)",
    "password = os.environ['DATABASE_PASSWORD']",
    "api_key = getpass()",
    "Bearer of bad news about understanding",
    "Basic understanding",
    "oov_token='<OOV>' pad_token='[PAD]'",
    "mail ada@example.org",
    "C:\\Users\\x",
]


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize(
    "context", ["{}", "bad key {}.", "key={}", '{{"a": "{}"}}', "x('{}')\n", "https://h/{}/x", "a,{},b"]
)
def test_tokens_of_services_go_wherever_they_stand(token: str, context: str) -> None:
    text = context.format(token)
    assert token not in redact_text(text)
    assert token not in redact_arguments([text])[0]
    assert token not in json.dumps(redact_json({"a": [text], text: 1}))
    assert redact_text(text) == redact_text(redact_text(text))


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_text_stays(text: str) -> None:
    assert redact_text(text) == text


@pytest.mark.parametrize("text", ORDINARY[:8])
def test_ordinary_arguments_stay(text: str) -> None:
    assert redact_arguments([text]) == [text]


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("cannot reach https://ada:hunter2@example.org/x", "hunter2"),
        ("redis://:hunter2@localhost:6379/0", "hunter2"),
        ("https://ada:hun/ter?2#@example.org", "ter"),
        ("https://ghp_abc@github.com/o/r", "ghp_abc"),
        ("https://bucket/x?X-Amz-Signature=0a1b2c3d4e5f&X-Amz-Date=2026", "0a1b2c3d4e5f"),
        ("https://h/x?access_token=abcdef", "abcdef"),
        ("https://hooks.slack.com/services/T0AAA1111/B0AAA1111/abcdefghijklmnop", "abcdefghijklmnop"),
        ("Authorization: Basic dXNlcjpwYXNzd29yZA==", "dXNlcjpwYXNzd29yZA"),
        ('{"Authorization": "Bearer abcdefgh1234567890"}', "abcdefgh1234567890"),
        ('api_key = "q1w2e3r4t5y6u7i8o9"', "q1w2e3r4t5y6u7i8o9"),
        ('os.environ["WANDB_API_KEY"] = "0123456789abcdef0123456789abcdef01234567"', "0123456789abcdef"),
        ("export HF_TOKEN=ABCdef0123456789ABCdef99", "ABCdef0123456789ABCdef99"),
    ],
)
def test_other_secrets_in_text_go(text: str, secret: str) -> None:
    assert secret not in redact_text(text)
    assert REDACTED in redact_text(text)


@pytest.mark.parametrize("kind", ["RSA ", "EC ", "OPENSSH ", "ENCRYPTED ", ""])
def test_private_keys_go_also_without_their_end(kind: str) -> None:
    body = base64.b64encode(b"key" * 60).decode()
    whole = f"before\n-----BEGIN {kind}PRIVATE KEY-----\n{body}\n-----END {kind}PRIVATE KEY-----\nafter"
    assert redact_text(whole) == f"before\n{REDACTED}\nafter"
    assert body not in redact_text(whole[: whole.index("-----END")])


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("https://ghp_abc@github.com/o/r.git", "https://github.com/o/r.git"),
        ("https://u:p%40ss@h:8443/o/r?token=x#f", "https://h:8443/o/r"),
        ("https://oauth2:glpat-x@gitlab.com/o/r", "https://gitlab.com/o/r"),
        ("git@github.com:o/r.git", "git@github.com:o/r.git"),
        ("ada@host:o/r.git", "host:o/r.git"),
        ("user:tok@host:path", "host:path"),
        ("ssh://git:pw@h/o/r", "ssh://git@h/o/r"),
        ("ssh://ada@h:22/o/r", "ssh://h:22/o/r"),
        ("https://[::1]:80/x", "https://[::1]:80/x"),
        ("/srv/project.git", "/srv/project.git"),
        ("../project.git", "../project.git"),
        ("file:///srv/project.git", "file:///srv/project.git"),
        ("https://u:12/3@h/x", REDACTED),
        ("https://u:pa/ss@h/x", REDACTED),
        ("https://u:p#w@h/x", REDACTED),
        ("https://h:port/x", REDACTED),
        ("https://h/\nx", REDACTED),
        ("https://[::1/x", REDACTED),
        ("u:p/w@h/x", REDACTED),
    ],
)
def test_remote_addresses(address: str, expected: str) -> None:
    assert redact_remote(address) == expected


def test_remote_address_with_a_token_in_its_path() -> None:
    assert TOKENS[0] not in redact_remote(f"https://host/{TOKENS[0]}/r.git")


@given(st.text(), st.text(alphabet="abc:/@?#%[]\\ \n1", max_size=30))
def test_remote_addresses_never_raise(scheme: str, rest: str) -> None:
    redact_remote(scheme)
    redact_remote(f"https://{rest}")


@given(st.text("abcdefghijk0123456789%._~-", min_size=8), st.sampled_from(["https", "ssh", "git+https", "http"]))
def test_passwords_of_addresses_never_survive(password: str, scheme: str) -> None:
    address = f"{scheme}://nobody:{password}@h.example/o/r.git"
    assert f":{password}@" not in redact_remote(address) + redact_text(f"see {address} .")


@pytest.mark.parametrize(
    "name",
    [
        "--token", "HF_TOKEN", "hfToken", "api_key", "--api-key", "apiKey", "APIKey", "APIKEY", "apikey",
        "client_secret", "clientSecret", "password", "db.password", "DB_PASS", "passwd", "user-passwd", "passphrase",
        "credentials", "AWS_SECRET_ACCESS_KEY", "private_key", "ssh-key", "auth", "basic_auth", "authorization",
        "--use-auth-token", "password1", "api_key_2", "access_tokens", "secret", "secrets", "jwt", "Cookie",
    ],
)  # fmt: skip
def test_secret_names(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "tokenizer", "tokenizers", "max_tokens", "tokens", "num_tokens", "token_count", "token_ids", "token_embedding",
        "pad_token", "oov_token", "mask_token", "start_token", "per_token_loss", "token_type_ids", "token_accuracy",
        "author", "authors", "keyboard", "key", "keys", "sort_key", "prng_key", "monkey", "secretary", "bypass", "pass",
        "forward_pass", "compass", "password_file", "private_key_path", "auth_mode", "input_signature", "", "1", "-",
    ],
)  # fmt: skip
def test_ordinary_names(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--token", "abc", "--lr", "0.1"], ["--token", REDACTED, "--lr", "0.1"]),
        (["-token", "abc"], ["-token", REDACTED]),
        (["--token", "--verbose", "abc"], ["--token", "--verbose", "abc"]),
        (["--token", "-x1y"], ["--token", REDACTED]),
        (["--api-key=a=b,c d"], ["--api-key=" + REDACTED]),
        (["+db.password=x y", "++a.b=1"], ["+db.password=" + REDACTED, "++a.b=1"]),
        (["--set", "a=1,secret=xx,b=2"], ["--set", f"a=1,secret={REDACTED},b=2"]),
        (["--conf=spark.password=x"], ["--conf=spark.password=" + REDACTED]),
        (["-H", "Authorization: Token abc"], ["-H", "Authorization: " + REDACTED]),
        (["-H", "X-Api-Key:abc"], ["-H", "X-Api-Key:" + REDACTED]),
        (['{"api_key": "x", "n": 3}'], [json.dumps({"api_key": REDACTED, "n": 3})]),
        (['{"n":  3}'], ['{"n":  3}']),
        (["{not json"], ["{not json"]),
        (["--use-auth-token", "True"], ["--use-auth-token", "True"]),
        (["--auth=none", "--token=5"], ["--auth=none", "--token=5"]),
        (["--password", "1234"], ["--password", REDACTED]),
        (["--password"], ["--password"]),
        (["--data", "https://u:p@h/x"], ["--data", f"https://{REDACTED}@h/x"]),
        (["train.py", "--authors", "x", "--tokenizer", "bert", "max_tokens=5", "--keyboard", "us"],) * 2,
        ([], []),
    ],
)
def test_arguments(arguments: list[str], expected: list[str]) -> None:
    assert redact_arguments(arguments) == expected


@given(st.lists(st.text()))
def test_arguments_keep_their_number(arguments: list[str]) -> None:
    assert len(redact_arguments(arguments)) == len(arguments)


def test_json_keeps_its_structure() -> None:
    value = {
        "optimizer": {"learning_rate": 0.1, "name": "adam"},
        "auth": {"user": "ada", "tries": 3, "enabled": True, "nothing": None, "list": ["x", 1234567]},
        "pad_token": "[PAD]",
        "token_accuracy": 0.98765432,
        "password": 1234,
        "token": 7,
        "hash": "a" * 64,
    }
    assert redact_json(value) == value | {
        "auth": {"user": REDACTED, "tries": 3, "enabled": True, "nothing": None, "list": [REDACTED, REDACTED]},
        "password": REDACTED,
    }
    assert redact_json("abc", "token") == REDACTED


PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text("abc /:.=", max_size=9)


@given(st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(st.text("abc_", max_size=6), inner)))
def test_json_without_secrets_is_unchanged(value: object) -> None:
    assert redact_json(value) == value


def test_the_environment_by_allow_list() -> None:
    allowed = {
        "CUDA_VISIBLE_DEVICES": "0", "NVIDIA_VISIBLE_DEVICES": "all", "TF_DETERMINISTIC_OPS": "1",
        "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_gpu_deterministic_ops=true",
        "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "4", "MKL_NUM_THREADS": "4", "OPENBLAS_NUM_THREADS": "4",
        "LD_LIBRARY_PATH": "/opt/cuda", "LANG": "C", "LC_ALL": "C", "TZ": "UTC", "SLURM_JOB_ID": "7",
    }  # fmt: skip
    refused = {
        "HOME": "/home/ada", "USER": "ada", "LOGNAME": "ada", "MAIL": "x", "AWS_SECRET_ACCESS_KEY": "x",
        "HF_TOKEN": "x", "TF_API_TOKEN": "x", "KERAS_PASSWORD": "x", "PYTHON_KEYRING_SECRET": "x", "PATH": "/bin",
        "SSH_AUTH_SOCK": "x", "SLURM_JOB_USER": "ada", "tf_x": "1", "XTF_X": "1", "HTTPS_PROXY": "http://u:p@h",
    }  # fmt: skip
    assert allowed_environment(refused | allowed) == dict(sorted(allowed.items()))
    assert allowed_environment({"TF_CONFIG": f"grpc://u:p@h {TOKENS[0]}"}) == {
        "TF_CONFIG": f"grpc://{REDACTED}@h {REDACTED}"
    }


def test_the_home_folder_is_written_as_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    text = "/home/ada /home/ada/x:/home/ada/y file:///home/ada/z /home/adam /mnt/home/ada /home/ada.old --d=/home/ada"
    assert hide_home(text) == "~ ~/x:~/y file://~/z /home/adam /mnt/home/ada /home/ada.old --d=~"
    monkeypatch.setenv("HOME", "/")
    assert hide_home("/a/b") == "/a/b"


@pytest.mark.parametrize(
    "hostile",
    ["://", "://a:", "eyJ", "=", "a='", "?a=", "-----BEGIN ", "Bearer ", "a.", "A", "sk-proj-", "a:@", "\"='"],
)
def test_time_is_linear_in_the_length(hostile: str) -> None:
    text = "https://" + hostile * (200_000 // len(hostile))
    begin = time.process_time()
    redact_text(text)
    redact_arguments([text])
    assert time.process_time() - begin < 2.0


def test_the_source_of_this_module_would_be_copied() -> None:
    import archiver.collect.redaction as module

    text = Path(module.__file__).read_text()
    assert redact_text(text) == text


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("login failed: password=hunter2, user=me", "login failed: password=[redacted], user=me"),
        ("api_key: abc", "api_key: [redacted]"),
        ("max_tokens=5 tokenizer=bert", "max_tokens=5 tokenizer=bert"),
        ("Expected shape=(3, 4)", "Expected shape=(3, 4)"),
    ],
)
def test_messages_lose_values_behind_secret_names(text, redacted):
    assert redact_message(text) == redacted
