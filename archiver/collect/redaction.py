"""Taking secrets out of what is recorded: addresses, command lines, free text, JSON, code.

Two things give a secret away. Its *name*: names are split into words (`--api-key`, `apiKey` and `db.api_key` alike),
so that `tokenizer`, `authors` or `max_tokens` are left alone. Or its *shape*: the tokens of well-known services, the
user part of an address, a private key. Hashes and paths have neither.

Everything here is a pure function of its arguments and takes time linear in their length.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import SplitResult, urlsplit, urlunsplit

from archiver.collect.token_formats import TOKEN_FORMATS, TokenFormat, any_of

REDACTED = "[redacted]"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")

_SECRET_WORDS = _words(
    "token secret secrets password passwords passwd passphrase pwd credential credentials auth authorization bearer "
    "jwt cookie apikey apitoken authtoken accesstoken accesskey secretkey privatekey clientsecret hftoken ghtoken "
    "dbpassword userpassword"
)
_KEYS = _words("api access private secret signing encryption ssh account auth master storage license")
_TOKENS = _words("api access auth refresh secret bearer session")
_PASSES = _words("db user smtp mysql postgres pg redis mail email ftp admin root login http proxy ssh key")

_TEXT_PIECES = _words(
    "pad padding eos bos oov mask unk unknown cls sep start end begin special stop blank max min num n per next prev "
    "last first image class target source new total"
)
"""Words that, before `token`, make it a piece of text rather than a key to something."""

_ABOUT = _words(
    "count dim dims size length len type types mode method level limit index indices position positions ids id name "
    "path file folder dir dropout mixing embedding embeddings rate enabled required sha digest checksum fingerprint in "
    "input inputs out output outputs layer head encoder decoder classifier model loss accuracy logits mask weight "
    "weights tensor seq sequence feature features vocab vocabulary shape dtype axis"
)
"""Last words that make a name tell something about a secret, not the secret itself."""

_FORMATS = tuple((each, re.compile(each.pattern)) for each in TOKEN_FORMATS)
_ANY_MARKER = re.compile(any_of(marker for each in TOKEN_FORMATS for marker in each.markers))
"""What most texts lack."""

USER_PART = re.compile(r"://((?:[^\s/@:?#'\"<>\[\]]{1,200}:(?!\d{1,5}/)[^\s@'\"<>]{0,400}|[^\s/@?#'\"]{1,400}))@")
PLACEHOLDERS = re.compile(r"(?:\{[^{}]*\}|<[^<>]*>|\$\{?\w+\}?|%\(?\w*\)?s|[*.x]+|:)*")
QUERY = re.compile(r"([?&][\w.-]{1,80}=)([^&\s#'\"<>{}$]{1,2000})")
SIGNATURES = frozenset(("sig", "signature", "x-amz-signature", "x-goog-signature"))
LITERAL = re.compile(
    r"[=:]\s{0,3}(?:[\"']([A-Za-z0-9_+/=-]{16,400})[\"']|([A-Za-z0-9]{20,400})(?![\w(.\[/-]))", re.ASCII
)
NAME_BEFORE = re.compile(r"([A-Za-z_][\w.-]{0,60})[\"']?\]?\s{0,3}\Z")
NAME_BEFORE_LENGTH = 70

_ASSIGNED_NAME = re.compile(r"(?<!\w)([A-Za-z_][\w.-]{0,80})[\"']?\s{0,3}[=:]\s{0,3}(?!//)")
_ASSIGNED = re.compile(r"\"[^\"]*\"|'[^']*'|(?:(?:bearer|basic|token|digest)\s+)?[^\s,;&\"']+", re.IGNORECASE)
_OPTION = re.compile(r"--[A-Za-z]|-[A-Za-z]\Z")
_SHORT_NUMBER = re.compile(r"[+-]?\d{0,5}(?:\.\d*)?(?:e[+-]?\d{1,3})?", re.IGNORECASE)
_NO_NUMBERS = re.compile(r"pass|pwd|secret", re.IGNORECASE)
_TRUTH_VALUES = frozenset(("", "true", "false", "yes", "no", "on", "off", "none", "null"))


def is_secret_name(name: str) -> bool:
    """Whether a value of this name is to be hidden, judged by the words of the name."""
    words = [word.lower() for word in _WORDS.findall(name)]
    if not words or words[-1] in _ABOUT:
        return False
    return any(_is_secret_word(words, position) for position in range(len(words)))


def _is_secret_word(words: Sequence[str], position: int) -> bool:
    word = words[position]
    before = words[position - 1] if position else ""
    if word == "token":
        return before not in _TEXT_PIECES and not _ABOUT.intersection(words[position + 1 :])
    if word in ("key", "keys"):
        return before in _KEYS
    if word == "tokens":
        return before in _TOKENS
    if word == "pass":
        return before in _PASSES
    return word in _SECRET_WORDS


def redact_text(text: str) -> str:
    """`text` without well-known tokens, users and passwords in addresses, private keys, and random-looking literals
    that stand behind a secret name (`api_key = "..."`)."""
    if _ANY_MARKER.search(text):
        for form, pattern in _FORMATS:
            if any(marker in text for marker in form.markers):
                text = pattern.sub(partial(_without_token, form), text)
    if "://" in text:
        text = USER_PART.sub(_without_user, text)
        text = QUERY.sub(_without_query_value, text)
    return LITERAL.sub(_without_literal, text)


def _without_token(form: TokenFormat, match: re.Match[str]) -> str:
    group = match.re.groups
    # A private key may be cut short, where a search for secrets takes it for a mention: a record loses little by that.
    if form.is_likely is not None and form.kind != "private key" and not form.is_likely(match[group]):
        return match[0]
    start, end = match.start(group) - match.start(), match.end(group) - match.start()
    return match[0][:start] + REDACTED + match[0][end:]


def _without_user(match: re.Match[str]) -> str:
    user = match[1]
    return match[0] if user == "git" or PLACEHOLDERS.fullmatch(user) else f"://{REDACTED}@"


def _without_query_value(match: re.Match[str]) -> str:
    name = match[1][1:-1]
    is_secret = is_secret_name(name) or name.lower() in SIGNATURES
    return match[1] + _hidden(name, match[2]) if is_secret else match[0]


def _without_literal(match: re.Match[str]) -> str:
    value = match[1] or match[2]
    digits = sum(character.isdigit() for character in value)
    if digits < (1 if match[1] else 3) or digits == len(value):
        return match[0]
    before = NAME_BEFORE.search(match.string, max(0, match.start() - NAME_BEFORE_LENGTH), match.start())
    return match[0].replace(value, REDACTED) if before and is_secret_name(before[1]) else match[0]


def redact_remote(url: str) -> str:
    """The address of a repository without user, password, query and fragment; the fixed text `[redacted]` where it
    cannot be taken apart with certainty.

    The user `git` of an SSH address stays: it is the same for everybody, and without it the address is of no use.
    """
    if any(character.isspace() or not character.isprintable() for character in url):
        return REDACTED
    if "://" not in url:
        return redact_text(_redact_scp_like(url))
    try:
        parts = urlsplit(url)
        address = _without_authority_secrets(parts)
    except ValueError:
        return REDACTED
    return redact_text(address) if address is not None else REDACTED


def _without_authority_secrets(parts: SplitResult) -> str | None:
    if "@" in parts.path + parts.query + parts.fragment or "\\" in parts.netloc:
        return None  # a password with an unescaped '/', '?' or '#': parts of it would pass for the path
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    port = f":{parts.port}" if parts.port is not None else ""
    user = "git@" if parts.username == "git" and "ssh" in parts.scheme else ""
    return urlunsplit((parts.scheme, user + host + port, parts.path, "", ""))


def _redact_scp_like(address: str) -> str:
    user, at, rest = address.rpartition("@")
    if not at:
        return address
    if "/" in user or ":" not in rest:
        return REDACTED if ":" in user else address
    return f"git@{rest}" if user == "git" else rest


def redact_arguments(arguments: Sequence[str]) -> list[str]:
    """A command line without secrets: as many arguments, in the same order.

    Hidden are the values of `--name value`, `--name=value`, `name=value` and `name: value` with a secret name, secret
    values inside JSON arguments, and whatever `redact_text` hides. Truth values and numbers of at most five digits
    are no secrets.
    """
    redacted: list[str] = []
    option = ""
    for argument in arguments:
        if option and not _OPTION.match(argument):
            redacted.append(_hidden(option, argument))
            option = ""
            continue
        awaits_value = argument.startswith("-") and "=" not in argument and is_secret_name(argument)
        option = argument if awaits_value else ""
        redacted.append(_redact_argument(argument))
    return redacted


def _redact_argument(argument: str) -> str:
    if argument.lstrip()[:1] in ("{", "["):
        try:
            value = json.loads(argument)
        except ValueError:
            pass
        else:
            redacted = redact_json(value)
            return argument if redacted == value else json.dumps(redacted)
    name, equals, value = argument.partition("=")
    if equals and is_secret_name(name) and not any(character.isspace() for character in name):
        return name + equals + _hidden(name, value)
    return _without_assigned(redact_text(argument))


def _without_assigned(text: str) -> str:
    pieces, position = [], 0
    for name in _ASSIGNED_NAME.finditer(text):
        value = _ASSIGNED.match(text, name.end()) if name.end() > position and is_secret_name(name[1]) else None
        if value is not None:
            pieces += [text[position : value.start()], _hidden(name[1], value[0])]
            position = value.end()
    return "".join(pieces) + text[position:]


def _hidden(name: str, value: str) -> str:
    """`value` of a secret name, unless it cannot be a secret."""
    if value.lower() in _TRUTH_VALUES or (_SHORT_NUMBER.fullmatch(value) and not _NO_NUMBERS.search(name)):
        return value
    return REDACTED


_ASSIGNMENT = re.compile(r"(?P<name>[A-Za-z][\w.-]*)(?P<sign>\s?[=:]\s?)(?P<value>[^\s,;)}\]=]++)(?!=)")


def redact_message(text: str) -> str:
    """`redact_text` for what a program says: values behind a secret name (`password=...`) go, too.

    Not for source code, where such a value is mostly an expression.
    """
    hidden = _ASSIGNMENT.sub(
        lambda match: f"{match['name']}{match['sign']}{REDACTED}" if is_secret_name(match["name"]) else match[0], text
    )
    return redact_text(hidden)


_SOURCE_LITERAL = re.compile(
    r"(?P<name>[A-Za-z_][\w.-]{0,80})[\"']?\]?\s{0,3}(?:==?|:|,)\s{0,3}(?P<quote>[\"'])(?P<value>[^\"'\n]{1,2000})(?P=quote)"
)
_COMMAND_LINE = re.compile(r"^[ \t]*[!%].*$", re.MULTILINE)


def redact_source(text: str) -> str:
    """Code of a notebook without secrets: `redact_text`, and any text that is given to a secret name (`password = "x"`,
    `os.environ["HF_TOKEN"] = "x"`, `login(token="x")`), and the secrets of its `!commands` and `%magics`."""
    text = _SOURCE_LITERAL.sub(_without_source_literal, text)
    text = _COMMAND_LINE.sub(lambda line: " ".join(redact_arguments(line[0].split(" "))), text)
    return redact_text(text)


def _without_source_literal(match: re.Match[str]) -> str:
    if not is_secret_name(match["name"]) or match["value"].lower() in _TRUTH_VALUES:
        return match[0]
    start = match.start("value") - match.start()
    return f"{match[0][:start]}{REDACTED}{match['quote']}"


def redact_json(value: Any, secret_name: str = "") -> Any:
    """Plain JSON without secrets; the structure stays.

    Strings go through `redact_text`; strings and long numbers anywhere under a secret key are replaced. With
    `secret_name`, the whole value is treated as if it stood under that key.
    """
    if isinstance(value, Mapping):
        return {
            redact_text(str(key)): redact_json(item, secret_name or (str(key) if is_secret_name(str(key)) else ""))
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [redact_json(item, secret_name) for item in value]
    if isinstance(value, str):
        return _hidden(secret_name, value) if secret_name else redact_text(value)
    if secret_name and isinstance(value, int | float) and not isinstance(value, bool):
        return value if _hidden(secret_name, str(value)) != REDACTED else REDACTED
    return value


def hide_home(text: str) -> str:
    """`text` with the user's home folder written as `~` wherever a path begins with it: its name tells who it is."""
    home = os.path.expanduser("~").rstrip("/")
    if not home.startswith("/") or home not in text:
        return text
    return re.sub(rf"(?<![\w.-]){re.escape(home)}(?![\w.-])", "~", text)
