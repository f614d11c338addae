"""THE table of the tokens of well-known services: what redaction takes out of records, the secret scan looks for.

A format is a fact of the service that gives the token out; most stand in its documentation. Patterns are ASCII, so that
each serves text and bytes alike, and take time linear in what they are given.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

MINIMAL_MARKER_LENGTH = 3
"""The scan looks for the first three characters of markers."""


@dataclass(frozen=True)
class TokenFormat:
    """How the tokens of one service look."""

    kind: str
    """What to call it, in words."""
    markers: tuple[str, ...]
    """Texts of which one occurs in every such token, or before it: looking for them is much faster."""
    pattern: str
    """A regular expression; where it has a group, the group is the secret."""
    is_likely: Callable[[str], bool] | None = None
    """Whether the secret, once found, has the structure that its format asks for; None: the pattern says it all."""
    before: int = 0
    """Where a match can begin: up to so many characters before a marker."""


def any_of(texts: Iterable[str]) -> str:
    """A regular expression for any of the texts, which looks at each character once: beginnings are shared."""
    tails: dict[str, list[str]] = {}
    for text in texts:
        tails.setdefault(text[:1], []).append(text[1:])
    if "" in tails:
        return ""
    alternatives = [re.escape(first) + any_of(rest) for first, rest in tails.items()]
    return alternatives[0] if len(alternatives) == 1 else f"(?:{'|'.join(alternatives)})"


def is_mixed(secret: str) -> bool:
    """Whether capitals, small letters and digits stand in it: words and names rarely have all three."""
    return all(re.search(letters, secret) for letters in ("[A-Z]", "[a-z]", "[0-9]"))


def has_digit(secret: str) -> bool:
    """Whether a digit stands in it."""
    return any(character.isdigit() for character in secret)


def is_json_web_token(secret: str) -> bool:
    """Whether the first part is a JSON object in base64, as RFC 7519 says."""
    header = secret.partition(".")[0].rstrip("=")
    try:
        return isinstance(json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4))), dict)
    except (ValueError, binascii.Error):
        return False


def _has_key(secret: str) -> bool:
    """Whether a key follows the first line: many a program names that line."""
    rest = re.sub(r"\\[nr]", "\n", secret.partition("-----BEGIN ")[2].partition("-----")[2])
    lines = (re.sub(r"[^A-Za-z0-9+/=]", "", line) for line in rest.split("\n"))
    return any(len(line) >= 40 and has_digit(line) for line in lines)  # noqa: PLR2004 - lines have 64 but the last


_WORD = r"(?<![A-Za-z0-9_])"
_LETTER = r"(?<![A-Za-z0-9])"
_ASSIGNED = r"[\"']?\]?\s{0,3}(?::=|=>|::|[=: ])\s{0,3}[\"']?"

TOKEN_FORMATS = (
    TokenFormat(
        "GitHub token",
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"),
        _WORD + r"gh[pousr]_(?:[A-Za-z0-9]{16,}|(?=[A-Za-z_]{0,99}\d)[A-Za-z0-9_]{36,})",
    ),
    TokenFormat("GitHub token", ("github_pat_",), _WORD + r"github_pat_[A-Za-z0-9_]{16,}"),
    TokenFormat(
        "GitLab token",
        tuple(f"gl{each}-" for each in ["pat", "ptt", "dt", "rt", "cbt", "soat", "imt", "agent", "oas", "ft"]),
        _LETTER + r"gl(?:pat|ptt|dt|rt|cbt|soat|imt|agent|oas|ft)-[A-Za-z0-9_-]{16,}",
    ),
    TokenFormat("GitLab token", ("GR1348941",), _LETTER + r"GR1348941[A-Za-z0-9_-]{20,}"),
    TokenFormat("Hugging Face token", ("hf_",), _WORD + r"hf_[A-Za-z0-9]{20,}"),
    TokenFormat("OpenAI key", ("sk-",), r"(?<![A-Za-z0-9-])sk-[A-Za-z0-9_-]{0,200}T3BlbkFJ[A-Za-z0-9_-]{16,}"),
    TokenFormat("OpenAI key", ("sk-",), r"(?<![A-Za-z0-9-])sk-[A-Za-z0-9]{20,}"),
    TokenFormat("Anthropic key", ("sk-ant",), r"(?<![A-Za-z0-9-])sk-ant-[A-Za-z0-9_-]{16,}"),
    TokenFormat("OpenAI key", ("sk-",), r"(?<![A-Za-z0-9-])sk-(?:proj|or|svcacct|admin)-[A-Za-z0-9_-]{16,}"),
    TokenFormat(
        "Stripe key", ("sk_live", "sk_test", "rk_live", "rk_test"), _WORD + r"[rs]k_(?:live|test)_[A-Za-z0-9]{16,}"
    ),
    TokenFormat(
        "AWS secret key",
        ("AKIA", "ASIA"),
        _LETTER + r"A[KS]IA[0-9A-Z]{16}[\"']?[\s,;:]{1,3}[\"']?([0-9A-Za-z/+]{40})(?![0-9A-Za-z/+=])",
        is_mixed,
    ),
    TokenFormat(
        "AWS secret key",
        ("aws", "AWS", "Aws"),
        r"(?i:aws)[^\n]{0,20}?(?i:key|pwd|pw|pass|token|secret)[^\n]{0,20}?[\"']([0-9A-Za-z/+]{40})[\"']",
        is_mixed,
    ),
    TokenFormat(
        "secret key",
        ("secret", "SECRET", "Secret"),
        r"(?i:secret[_-]?(?:access)?[_-]?key)" + _ASSIGNED + r"([0-9A-Za-z/+]{40}|[0-9a-f]{48})(?![0-9A-Za-z/+=])",
        has_digit,
    ),
    TokenFormat(
        "AWS key id",
        ("AKIA", "ASIA", "ABIA", "ACCA", "A3T"),
        _LETTER + r"(?:AKIA|ASIA|ABIA|ACCA|A3T[A-Z0-9])[0-9A-Z]{16}(?![A-Za-z0-9])",
    ),
    TokenFormat("Google key", ("AIza",), _LETTER + r"AIza[A-Za-z0-9_-]{35}"),
    TokenFormat("Google token", ("ya29.",), _LETTER + r"ya29\.[A-Za-z0-9_-]{20,}"),
    TokenFormat("Google client secret", ("GOCSPX-",), _LETTER + r"GOCSPX-[A-Za-z0-9_-]{20,}"),
    TokenFormat("Slack token", ("xox", "XOX"), _LETTER + r"(?i:xox)[A-Za-z]-[A-Za-z0-9-]{10,}"),
    TokenFormat("Slack token", ("xapp-",), _LETTER + r"xapp-[0-9]-[A-Za-z0-9-]{16,}"),
    TokenFormat("Slack webhook", ("hooks.slack.com",), r"hooks\.slack\.com/services/([A-Za-z0-9_/]{16,})"),
    TokenFormat("Neptune token", ("eyJhcGlfYWRkcmVzcyI6",), r"eyJhcGlfYWRkcmVzcyI6[A-Za-z0-9+/=_-]{16,}"),
    TokenFormat(
        "JSON web token",
        ("eyJ",),
        r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_=-]{8,}\.[A-Za-z0-9_=-]{8,}(?:\.[A-Za-z0-9_=-]*)?",
        is_json_web_token,
    ),
    TokenFormat("npm token", ("npm_",), _WORD + r"npm_[A-Za-z0-9]{30,}"),
    TokenFormat("npm token", (":_authToken=",), r":_authToken=\s{0,3}[\"']?([A-Za-z0-9_-]{16,})"),
    TokenFormat("PyPI token", ("pypi-",), _LETTER + r"pypi-[A-Za-z0-9_-]{40,}"),
    TokenFormat("RubyGems token", ("rubygems_",), _WORD + r"rubygems_[0-9a-f]{40,}"),
    TokenFormat("NVIDIA key", ("nvapi-",), _LETTER + r"nvapi-[A-Za-z0-9_-]{30,}"),
    TokenFormat("Groq key", ("gsk_",), _WORD + r"gsk_[A-Za-z0-9]{30,}"),
    TokenFormat("Replicate token", ("r8_",), _WORD + r"r8_[A-Za-z0-9]{30,}"),
    TokenFormat("xAI key", ("xai-",), _LETTER + r"xai-[A-Za-z0-9]{40,}"),
    TokenFormat("Pinecone key", ("pcsk_",), _WORD + r"pcsk_[A-Za-z0-9_]{30,}"),
    TokenFormat("LangSmith key", ("lsv2_",), _WORD + r"lsv2_(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{8,}"),
    TokenFormat("W&B key", ("wandb_v1_",), _WORD + r"wandb_v1_[A-Za-z0-9_]{30,}"),
    TokenFormat("W&B key", ("wandb login",), r"wandb login (?:--[a-z=]{1,40} ){0,4}([0-9a-f]{40})(?![0-9a-f])"),
    TokenFormat("DigitalOcean token", ("dop_v1_", "doo_v1_", "dor_v1_"), _WORD + r"do[opr]_v1_[0-9a-f]{32,}"),
    TokenFormat("Docker token", ("dckr_",), _WORD + r"dckr_(?:pat|oat)_[A-Za-z0-9_-]{16,}"),
    TokenFormat("Databricks token", ("dapi",), _LETTER + r"dapi[0-9a-f]{32}(?:-\d)?(?![A-Za-z0-9])"),
    TokenFormat("Vault token", ("hvs.",), _LETTER + r"hvs\.[A-Za-z0-9_-]{20,}"),
    TokenFormat("SendGrid key", ("SG.",), _LETTER + r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),
    TokenFormat(
        "Shopify token", ("shpat_", "shpca_", "shppa_", "shpss_"), _LETTER + r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}"
    ),
    TokenFormat("Tailscale key", ("tskey-",), _LETTER + r"tskey-[a-z]+-[A-Za-z0-9-]{16,}"),
    TokenFormat("age key", ("AGE-SECRET-KEY-",), r"AGE-SECRET-KEY-1[0-9A-Z]{40,}"),
    TokenFormat("Atlassian token", ("ATATT3",), _LETTER + r"ATATT3[A-Za-z0-9_=-]{40,}"),
    TokenFormat("Artifactory token", ("AKC",), r"(?<![^\s=:\"',;(])AKC[A-Za-z0-9]{10,}(?![^\s\"',;)])", has_digit),
    TokenFormat(
        "Artifactory password",
        tuple(f"AP{each}" for each in "0123456789ABCDEF"),
        r"(?<![^\s=:\"',;(])AP[0-9A-F][A-Za-z0-9]{8,}(?![^\s\"',;)])",
        lambda secret: is_mixed(secret[3:]),
    ),
    TokenFormat(
        "Telegram token", (":AA",), r"(?<![A-Za-z0-9:])\d{8,10}:AA[A-Za-z0-9_-]{33}(?![A-Za-z0-9_-])", before=10
    ),
    TokenFormat(
        "Telegram token",
        tuple(f"{digit}:{letter}" for digit in "0123456789" for letter in "ABCDEFGH"),
        r"(?<![A-Za-z0-9:])\d{8,10}:[A-H][A-Za-z0-9_-]{34}(?![A-Za-z0-9_-])",
        is_mixed,
        before=9,
    ),
    TokenFormat(
        "Twilio key",
        tuple(f"{kind}{digit}" for kind in ("AC", "SK") for digit in "0123456789abcdefghijklmnopqrstuvwxyz"),
        _LETTER + r"(?:AC|SK)[0-9a-z]{32}(?![A-Za-z0-9])",
        has_digit,
    ),
    TokenFormat(
        "Mailchimp key",
        ("-us",),
        _LETTER + r"[0-9a-z]{32}-us[0-9]{1,2}(?![A-Za-z0-9])",
        lambda secret: has_digit(secret[:32]),
        before=32,
    ),
    TokenFormat("Square token", ("sq0",), _LETTER + r"sq0(?:csp|atp|idp)-[0-9A-Za-z_\\-]{22,}"),
    TokenFormat(
        "Discord token",
        tuple(f"{one}{two}{three}" for one in "MNO" for two in "DTjz" for three in "AEIMQUYcgk"),  # digits in base64
        r"(?<![A-Za-z0-9_.-])[MNO][A-Za-z0-9_-]{23,25}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27}(?![A-Za-z0-9_-])",
        is_mixed,
    ),
    TokenFormat("Azure storage key", ("AccountKey=",), r"AccountKey=([A-Za-z0-9+/=]{20,})"),
    TokenFormat("Azure access key", ("SharedAccessKey=",), r"SharedAccessKey=([A-Za-z0-9+/=]{20,})"),
    TokenFormat(
        "IBM Cloud key",
        ("key", "KEY", "Key", "pwd", "PWD", "pass", "PASS", "word", "WORD", "token", "TOKEN", "Token"),
        r"(?i:key|pwd|pass|word|token)" + _ASSIGNED + r"([A-Za-z0-9_-]{44})(?![A-Za-z0-9_=.(-])",
        is_mixed,
    ),
    TokenFormat(
        "SoftLayer or Cloudant key",
        ("softlayer", "SOFTLAYER", "cloudant", "CLOUDANT", "sl_", "SL_", "cl_", "CL_", "clou"),
        _LETTER
        + r"(?i:(?:softlayer|sl|cloudant|cl|clou)[_-]?(?:api)?[_-]?(?:key|password|pass|pwd|pw|token))"
        + _ASSIGNED
        + r"([0-9a-z]{64}|[a-z]{24})(?![0-9A-Za-z])",
    ),
    TokenFormat("SoftLayer key", ("softlayer.com/soap",), r"softlayer\.com/soap/v3(?:\.1)?/([A-Za-z0-9]{64})"),
    TokenFormat(
        "token in an address",
        ("/t/",),
        r"/t/((?:tk-)?[A-Za-z0-9]{2,8}-[0-9a-f]{8}-[A-Za-z0-9-]{8,}|tk-[A-Za-z0-9-]{8,})/",
    ),
    TokenFormat(
        "password of a netrc file",
        ("machine",),
        r"machine\s{1,9}\S{1,99}\s{1,9}login\s{1,9}\S{1,99}\s{1,9}password\s{1,9}(\S{8,400})",
    ),
    TokenFormat(
        "private key",
        ("-----BEGIN ",),
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:(?:[^-]|-(?!----BEGIN )){0,16384}?-----END [A-Z0-9 ]{0,60}-----|(?:[^-]|-(?!----BEGIN )){0,16384})",
        _has_key,
    ),
    TokenFormat("private key", ("PuTTY-User-Key-File-",), r"PuTTY-User-Key-File-[23]: \S{3,40}"),
    TokenFormat("bearer token", ("Bearer ",), r"Bearer ((?=[A-Za-z._~+/=-]*\d)[A-Za-z0-9._~+/=-]{16,})"),
    TokenFormat(
        "password of basic authentication",
        ("uthorization", "UTHORIZATION"),
        r"(?i:uthorization[\"']?: [\"']?basic )([A-Za-z0-9+/=]{8,})",
    ),
)  # fmt: skip
