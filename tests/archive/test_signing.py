"""Signatures: ours for the tool of the OpenSSF, its for us, and all that must not pass for one.

Needs the extra `signing`; the tool's own command is in the environment of the validators (`make standards`).
"""

import base64
import contextlib
import importlib.util
import json
import os
import pty
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archiver import sign, verify
from archiver.archive import signature, signing
from archiver.archive.inspection import MAXIMAL_SIGNATURE_BYTES
from archiver.archive.run import Run
from archiver.cli.main import main
from archiver.closing import render_again
from archiver.errors import ArgumentError, DamagedFileError, FindingsError, MissingExtraError, RunStateError
from archiver.export.bag import export_bag
from archiver.export.public import publish
from archiver.export.zipped import export_zip
from archiver.repairing.making_whole import repair
from archiver.report.report import ReportOptions
from archiver.sealing import changing, unseal
from archiver.storage.journal import events_named
from archiver.testing import add_phase, tiny_run
from tests.archive.resealing import rewrite_manifests
from tests.property.campaigns import campaign
from tests.standards.environment import run_program

if importlib.util.find_spec("model_signing") is None:
    assert not os.environ.get("CI"), 'the extra "signing" must be installed'
    pytest.skip('needs pip install "keras-archiver[signing]"', allow_module_level=True)

PASSWORD = "correct horse"


class Keys:
    """Files in PEM, made by openssl as docs/trust.md says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, curve in {"p256": "P-256", "p384": "P-384", "p521": "P-521", "other": "P-256"}.items():
            self.openssl("genpkey", "-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{curve}", "-out", f"{name}.pem")
            self.openssl("pkey", "-in", f"{name}.pem", "-pubout", "-out", f"{name}.pub")
        self.openssl("pkey", "-in", "p256.pem", "-aes256", "-passout", f"pass:{PASSWORD}", "-out", "encrypted.pem")
        self.openssl("ec", "-in", "p256.pem", "-aes128", "-passout", f"pass:{PASSWORD}", "-out", "traditional.pem")
        self.openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "rsa.pem")
        self.openssl("pkey", "-in", "rsa.pem", "-pubout", "-out", "rsa.pub")
        self.openssl("genpkey", "-algorithm", "ED25519", "-out", "ed25519.pem")
        self.openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1", "-out", "k256.pem")
        (folder / "garbage.pem").write_bytes(os.urandom(300))
        (folder / "huge.pem").write_bytes(b"-" * 100_000)

    def openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)

    def __truediv__(self, name: str) -> Path:
        return self.folder / name


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> Keys:
    return Keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def sealed(tmp_path_factory) -> Run:
    return tiny_run(tmp_path_factory.mktemp("sealed"), tested=True)


@pytest.fixture(scope="module")
def signed_once(sealed, keys, tmp_path_factory) -> Path:
    folder = Path(shutil.copytree(sealed.path, tmp_path_factory.mktemp("signed") / "tiny_models"))
    sign(folder, keys / "p256.pem")
    return folder


@pytest.fixture
def run(sealed, tmp_path) -> Run:
    return Run.open(shutil.copytree(sealed.path, tmp_path / "tiny_models"))


@pytest.fixture
def signed(signed_once, tmp_path) -> Run:
    return Run.open(shutil.copytree(signed_once, tmp_path / "tiny_models"))


def signature_findings(run: Run, key: Path) -> list[str]:
    return [finding.message for finding in verify(run.path, public_key=key).findings if finding.code == "signature"]


def archiver(capsys, *arguments) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return int(ended.value.code or 0), out, err


def tool_verifies(run: Run, key: Path) -> bool:
    file = run.path / "model.sig"
    result = run_program("model_signing", "verify", "key", run.path, "--signature", file, "--public_key", key)
    return result.returncode == 0


# -- interoperable both ways


@pytest.mark.parametrize("curve", ["p256", "p384", "p521"])
def test_the_tool_accepts_ours(curve, run, keys):
    assert sign(run.path, keys / f"{curve}.pem") == run.path / "model.sig"
    assert verify(run.path, public_key=keys / f"{curve}.pub").is_whole
    assert tool_verifies(run, keys / f"{curve}.pub")
    assert not tool_verifies(run, keys / "other.pub")


@pytest.mark.parametrize("curve", ["p256", "p384"])
def test_we_accept_the_tool_s(curve, run, keys):
    arguments = ["--private_key", keys / f"{curve}.pem", "--signature", run.path / "model.sig"]
    result = run_program("model_signing", "sign", "key", run.path, *arguments)
    assert result.returncode == 0, result.stderr
    report = verify(run.path, public_key=keys / f"{curve}.pub", deep=True)
    assert report.findings == ()
    assert (
        report.signed_by
        == json.loads((run.path / "model.sig").read_text())["verificationMaterial"]["publicKey"]["hint"]
    )


def test_the_tool_refuses_what_we_refuse(signed, keys):
    (signed.path / "files/notes.txt").write_text("changed\n")
    assert not tool_verifies(signed, keys / "p256.pub")
    assert signature_findings(signed, keys / "p256.pub") != []


def test_the_tool_accepts_ours_when_the_folder_was_renamed_and_copied(signed, keys, tmp_path):
    copy = Run.open(shutil.copytree(signed.path, tmp_path / "elsewhere" / "renamed"))
    assert tool_verifies(copy, keys / "p256.pub")
    assert verify(copy.path, public_key=keys / "p256.pub").is_whole


# -- what a signature says


def test_a_signed_archive(signed, keys):
    report = verify(signed.path)
    assert report.findings == ()
    (note,) = report.information
    assert (note.code, note.path) == ("signature", "model.sig")
    assert "was not checked" in note.message
    assert report.signed_by is None
    report = verify(signed.path, public_key=keys / "p256.pub")
    assert (report.findings, report.information) == ((), ())
    assert len(report.signed_by) == 64
    assert "model.sig" not in (signed.path / "manifest-blake3.txt").read_text()


def test_signing_twice(signed, keys):
    with pytest.raises(RunStateError, match="--replace"):
        sign(signed.path, keys / "other.pem")
    sign(signed.path, keys / "other.pem", replace=True)
    assert signature_findings(signed, keys / "other.pub") == []
    (message,) = signature_findings(signed, keys / "p256.pub")
    assert message.startswith("was made with another key")


def test_a_key_that_hides_behind_the_hint_of_another(signed, keys):
    """Made with the other key, and named as if it were made with ours."""
    ours = json.loads((signed.path / "model.sig").read_text())["verificationMaterial"]
    sign(signed.path, keys / "other.pem", replace=True)
    edit_bundle(signed, lambda bundle: bundle.update(verificationMaterial=ours))
    assert signature_findings(signed, keys / "p256.pub") == ["is not by this key, or was changed after it was made"]
    edit_bundle(signed, lambda bundle: bundle.update(verificationMaterial={"publicKey": {}}))
    assert signature_findings(signed, keys / "p256.pub") == ["is not by this key, or was changed after it was made"]
    assert signature_findings(signed, keys / "other.pub") == [], "a bundle without a hint is one"


def test_no_signature(run, keys):
    (message,) = signature_findings(run, keys / "p256.pub")
    assert "there is no signature" in message


@pytest.mark.parametrize("change", ["changed", "missing", "added", "link"])
def test_files_that_are_not_those_that_were_signed(change, signed, keys):
    path = signed.path / "files/notes.txt"
    if change == "added":
        (signed.path / "new").touch()
    else:
        path.unlink()
        if change == "changed":
            path.write_text("changed")
        elif change == "link":
            path.symlink_to("../README.md")
    (message,) = signature_findings(signed, keys / "p256.pub")
    assert message.startswith("is good for this seal, but the files are not those that were signed: ")
    assert ("new" if change == "added" else "files/notes.txt") in message
    assert verify(signed.path, public_key=keys / "p256.pub").signed_by is None


def test_an_archive_that_was_sealed_anew_by_its_own_means_has_no_signature(signed, keys):
    render_again(signed, ReportOptions(figures=False))
    assert not (signed.path / "model.sig").exists()
    assert verify(signed.path).is_whole
    assert [event.details["signed"] for event in events_named(signed.journal.read(), "unsealed")] == [False, True]


@pytest.mark.parametrize("change", [unseal, add_phase])
def test_whatever_opens_the_seal_removes_the_signature(change, signed, keys):
    change(signed)
    assert not (signed.path / "model.sig").exists()
    assert signature_findings(signed, keys / "p256.pub") != []


def test_the_signature_of_an_older_seal(signed, keys):
    old = (signed.path / "model.sig").read_bytes()
    with changing(signed):
        (signed.path / "files/notes.txt").write_text("other\n")
    (signed.path / "model.sig").write_bytes(old)
    (message,) = signature_findings(signed, keys / "p256.pub")
    assert message.startswith("is over another seal: received ")
    assert "sign the archive again" in message


def test_an_archive_that_was_sealed_anew_behind_its_back(signed, keys):
    (signed.path / "files/notes.txt").write_text("forged\n")
    rewrite_manifests(signed.path)  # of model.sig, too
    found = {(finding.code, finding.path) for finding in verify(signed.path, public_key=keys / "p256.pub").findings}
    assert ("signature", "model.sig") in found
    assert ("manifest", "manifest-blake3.txt") in found, "no manifest may list the signature"


def test_a_signature_in_an_archive_that_is_not_sealed(signed, keys):
    (signed.path / "manifest-blake3.txt").unlink()
    assert [finding.code for finding in verify(signed.path).information] == ["signature"]
    assert signature_findings(signed, keys / "p256.pub") != []


def test_a_signature_of_something_that_was_not_sealed(run, keys):
    """The tool signs whatever is there."""
    unseal(run)
    arguments = ["--private_key", keys / "p256.pem", "--signature", run.path / "model.sig"]
    run_program("model_signing", "sign", "key", run.path, *arguments)
    (message,) = signature_findings(run, keys / "p256.pub")
    assert "does not cover manifest-blake3.txt" in message


def test_a_signature_that_covers_more_or_less_than_the_seal(run, keys):
    (run.path / "junk").touch()
    file = run.path / "model.sig"
    arguments = ["--private_key", keys / "p256.pem", "--signature", file]
    run_program("model_signing", "sign", "key", run.path, *arguments)
    (run.path / "junk").unlink()
    assert signature_findings(run, keys / "p256.pub") == ["covers what is not part of the seal: junk"]
    run_program("model_signing", "sign", "key", run.path, *arguments, "--ignore-paths", run.path / "files")
    assert signature_findings(run, keys / "p256.pub") == [], "the manifests cover it, and are signed"


# -- handed over


@pytest.mark.parametrize("export", [export_zip, export_bag])
def test_an_export_carries_the_signature(export, signed, keys, tmp_path):
    output = tmp_path / "tiny.zip"
    export(signed, output)
    report = verify(output, public_key=keys / "p256.pub", expect=signed.seal_id)
    assert report.findings == ()
    assert len(report.signed_by) == 64
    (finding,) = verify(output, public_key=keys / "other.pub").findings
    assert finding.code == "signature"
    assert finding.path.endswith("tiny_models/model.sig")


def test_a_repaired_archive_keeps_the_signature(signed, keys, tmp_path):
    readme = signed.path / "README.md"
    readme.write_bytes(readme.read_bytes().replace(b"\n", b"\r\n"))
    repaired = repair(signed.path, tmp_path / "repaired")
    assert repaired.findings == ()
    assert verify(tmp_path / "repaired", public_key=keys / "p256.pub").is_whole


def test_a_public_copy_has_no_signature(signed, tmp_path):
    copy = publish(signed, tmp_path / "public")
    assert not (copy.path / "model.sig").exists()
    report = verify(copy.path)
    assert report.is_whole
    assert "signature" not in {finding.code for finding in report.information}


def test_a_signature_is_no_secret(signed):
    report = verify(signed.path, secrets=True)
    assert report.findings == ()


# -- hostile signature files


def edit_bundle(run: Run, edit: Callable[[Any], Any]) -> None:
    path = run.path / "model.sig"
    bundle = json.loads(path.read_text())
    edit(bundle)
    path.write_text(json.dumps(bundle))


def other_statement(edit: Callable[[Any], Any]) -> Callable[[Any], None]:
    def edit_payload(bundle: Any) -> None:
        statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
        edit(statement)
        bundle["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()

    return edit_payload


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda bundle: bundle.clear(), "no signature in the format"),
        (lambda bundle: bundle.update(mediaType="text/plain"), "media type 'text/plain'"),
        (lambda bundle: bundle.update(verificationMaterial={"certificate": {"rawBytes": ""}}), "certificate"),
        (lambda bundle: bundle["dsseEnvelope"].update(payloadType="text/plain"), "payload type"),
        (lambda bundle: bundle["dsseEnvelope"].update(payload="*"), "base64"),
        (lambda bundle: bundle["dsseEnvelope"].update(signatures=[]), "signatures"),
        (lambda bundle: bundle["dsseEnvelope"]["signatures"].append({"sig": "AAAA"}), "signatures"),
        (lambda bundle: bundle["dsseEnvelope"]["signatures"][0].update(sig="AAAA"), "is not by this key"),
        (lambda bundle: bundle["dsseEnvelope"]["signatures"][0].update(sig=""), "is not by this key"),
        (other_statement(lambda statement: statement["subject"][0].update(name="other")), "is not by this key"),
    ],
)
def test_a_bundle_that_was_changed(edit, words, signed, keys):
    edit_bundle(signed, edit)
    (message,) = signature_findings(signed, keys / "p256.pub")
    assert words in message


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"garbage",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"[" * 1_000_000,
        b'{"a":' * 1_000_000,
        b'{"mediaType": ' + b"9" * 10**6 + b"}",
    ],
    ids=["empty", "text", "bytes", "list", "null", "deep-lists", "deep-objects", "digits"],
)
def test_a_file_that_is_no_bundle(data, signed, keys):
    (signed.path / "model.sig").write_bytes(data)
    (message,) = signature_findings(signed, keys / "p256.pub")
    assert "is no signature in the format of OpenSSF model signing" in message


def test_a_file_that_is_too_large_or_no_file(signed, keys):
    path = signed.path / "model.sig"
    os.truncate(path, MAXIMAL_SIGNATURE_BYTES + 1)
    for key in (None, keys / "p256.pub"):
        (finding,) = verify(signed.path, public_key=key).findings
        assert (finding.code, finding.path) == ("signature", "model.sig")
        assert "at most 8388608" in finding.message
    path.unlink()
    path.symlink_to(keys / "p256.pub")
    assert [finding.code for finding in verify(signed.path, public_key=keys / "p256.pub").findings] == [
        "not_a_regular_file"
    ]
    path.unlink()
    path.mkdir()
    assert {finding.code for finding in verify(signed.path, public_key=keys / "p256.pub").findings} == {
        "unlisted",
        "signature",
    }


def resigned(bundle: Any, edit: Callable[[Any], Any], key: Path) -> None:
    """A statement that the holder of the key signed, though no tool would make it."""
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    other_statement(edit)(bundle)
    payload = base64.b64decode(bundle["dsseEnvelope"]["payload"])
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    message = b"DSSEv1 28 application/vnd.in-toto+json %d %s" % (len(payload), payload)
    signed = private.sign(message, ec.ECDSA(hashes.SHA256()))
    bundle["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(signed).decode()


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda statement: None, None),
        (lambda statement: statement.update(_type="other"), "expected 'https://in-toto.io/Statement/v1'"),
        (lambda statement: statement.update(predicateType="https://model_signing/Digests/v0.1"), "signature/v1.0"),
        (
            lambda statement: statement["predicate"]["serialization"].update(method="shards"),
            "expected 'files' by 'sha256'",
        ),
        (
            lambda statement: statement["predicate"]["serialization"].update(hash_type="blake3"),
            "expected 'files' by 'sha256'",
        ),
        (lambda statement: statement["predicate"]["resources"].pop(), "total digest"),
        (lambda statement: statement["predicate"]["resources"][0].update(digest="AA"), "no SHA-256"),
        (lambda statement: statement["predicate"]["resources"][0].update(algorithm="md5"), "no SHA-256"),
        (lambda statement: statement["predicate"]["resources"].append(statement["predicate"]["resources"][0]), "twice"),
        (lambda statement: statement["subject"].append(statement["subject"][0]), "subject"),
        (lambda statement: statement.update(predicate=[]), "predicate"),
    ],
)
def test_a_statement_that_is_signed_and_makes_no_sense(edit, words, signed, keys):
    edit_bundle(signed, lambda bundle: resigned(bundle, edit, keys / "p256.pem"))
    found = signature_findings(signed, keys / "p256.pub")
    assert found == [] if words is None else words in found[0]


@pytest.mark.stress
@settings(
    max_examples=campaign(40, 2000),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_no_change_of_a_signature_passes(data, signed_once, keys):
    """Any byte of the bundle: either the same is said by it, or it is a finding; never an error."""
    original = (signed_once / "model.sig").read_bytes()
    key = signature.load_public_key(keys / "p256.pub")
    place = data.draw(st.integers(0, len(original) - 1))
    changed = original[:place] + bytes([original[place] ^ 1 << data.draw(st.integers(0, 7))]) + original[place + 1 :]
    with contextlib.suppress(DamagedFileError):
        assert signature.open_statement(changed, key) == signature.open_statement(original, key)


# -- keys


@pytest.mark.parametrize("name", ["encrypted.pem", "traditional.pem"])
def test_an_encrypted_key(name, run, keys, monkeypatch, capsys):
    with pytest.raises(ArgumentError, match="give its password"):
        sign(run.path, keys / name)
    with pytest.raises(ArgumentError, match="wrong password"):
        sign(run.path, keys / name, password="wrong")
    code, _, err = archiver(capsys, "sign", run.path, "--key", keys / name, "--password-env", "NOT_THERE")
    assert (code, "no environment variable NOT_THERE" in err) == (2, True)
    monkeypatch.setenv("KEY_PASSWORD", PASSWORD)
    code, out, _ = archiver(capsys, "sign", run.path, "--key", keys / name, "--password-env", "KEY_PASSWORD")
    assert (code, out) == (0, f"signed: {run.path / 'model.sig'}\n")
    assert signature_findings(run, keys / "p256.pub") == []


def test_a_password_that_is_asked_for(run, keys):
    code = "from archiver.cli.main import main; main()"
    command = [sys.executable, "-c", code, "sign", str(run.path), "--key", str(keys / "encrypted.pem")]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "--password-env NAME says where its password stands" in result.stderr
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, start_new_session=True
    ) as process:
        shown = b""
        while b"Password of the key" not in shown:
            shown += os.read(ours, 1000)
        os.write(ours, PASSWORD.encode() + b"\n")
        assert process.wait(60) == 0
    os.close(theirs)
    os.close(ours)
    assert PASSWORD.encode() not in shown
    assert signature_findings(run, keys / "p256.pub") == []


def test_a_password_for_a_key_that_needs_none(run, keys):
    with pytest.raises(ArgumentError, match="it is not encrypted"):
        sign(run.path, keys / "p256.pem", password="superfluous")


@pytest.mark.parametrize(
    "name", ["rsa.pem", "ed25519.pem", "k256.pem", "garbage.pem", "huge.pem", "p256.pub", "nowhere", "."]
)
def test_what_is_no_private_key(name, run, keys, capsys):
    code, out, err = archiver(capsys, "sign", run.path, "--key", keys / name)
    assert (code, out) == (2, "")
    assert str(keys / name) in err
    assert not (run.path / "model.sig").exists()


@pytest.mark.parametrize("name", ["rsa.pub", "garbage.pem", "huge.pem", "p256.pem", "nowhere", "."])
def test_what_is_no_public_key(name, signed, keys, capsys):
    code, out, err = archiver(capsys, "verify", "--signature", "--public-key", keys / name, signed.path)
    assert (code, out) == (2, "")
    assert str(keys / name) in err


# -- when nothing is signed


def test_an_archive_that_is_not_sealed_or_not_whole_is_not_signed(run, keys, tmp_path):
    with pytest.raises(RunStateError, match="`archiver finalize"):
        sign(tiny_run(tmp_path, "open", sealed=False).path, keys / "p256.pem")
    (run.path / "README.md").write_text("changed")
    with pytest.raises(FindingsError, match=r"README\.md"):
        sign(run.path, keys / "p256.pem")
    assert not (run.path / "model.sig").exists()


def test_a_file_that_changes_while_it_is_signed(run, keys, monkeypatch):
    made = signing._signed

    def late(library: Any, run: Run, *rest: Any) -> bytes:
        (run.path / "README.md").write_text("changed")
        return made(library, run, *rest)

    monkeypatch.setattr(signing, "_signed", late)
    with pytest.raises(RunStateError, match=r"changed while it was signed: .* README\.md"):
        sign(run.path, keys / "p256.pem")
    assert not (run.path / "model.sig").exists()


def test_the_library_is_missing(run, keys, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "model_signing", None)
    with pytest.raises(MissingExtraError, match=r'pip install "keras-archiver\[signing\]"'):
        sign(run.path, keys / "p256.pem")
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives", None)
    code, _, err = archiver(capsys, "verify", "--signature", "--public-key", keys / "p256.pub", run.path)
    assert code == 9
    assert "keras-archiver[signing]" in err


def test_no_network(run, keys, monkeypatch):
    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    sign(run.path, keys / "p256.pem")
    assert signature_findings(run, keys / "p256.pub") == []


# -- the command line


def test_the_commands(run, keys, capsys):
    assert archiver(capsys, "sign", run.path, "--key", keys / "p256.pem")[0] == 0
    code, out, _ = archiver(capsys, "verify", "--signature", "--public-key", keys / "p256.pub", run.path)
    assert code == 0
    assert "\n  signed with the key " in out
    code, out, _ = archiver(capsys, "verify", "--signature", "--public-key", keys / "other.pub", run.path)
    assert code == 1
    assert "FINDING [signature] model.sig: was made with another key" in out
    assert archiver(capsys, "sign", run.path, "--key", keys / "p256.pem")[0] == 7
    for arguments in (["--signature"], ["--public-key", keys / "p256.pub"]):
        code, _, err = archiver(capsys, "verify", *arguments, run.path)
        assert (code, "go together" in err) == (2, True)


def test_checking_a_signature_does_not_import_the_library(signed, keys):
    code = (
        "import sys; from archiver import verify\n"
        f"assert verify({str(signed.path)!r}, public_key={str(keys / 'p256.pub')!r}).is_whole\n"
        "assert not {'model_signing', 'sigstore', 'requests'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
