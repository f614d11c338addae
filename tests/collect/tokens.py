"""Tokens as the services make them, of random letters: none was ever given out."""

from __future__ import annotations

import base64
import json
import random
import string
from collections.abc import Iterator

LETTERS = string.ascii_letters + string.digits


def sample_tokens(seed: int) -> Iterator[tuple[str, str]]:
    """(what, token) of every service; each token has letters of both cases and digits where the format has."""
    numbers = random.Random(seed)

    def some(count: int, letters: str = LETTERS) -> str:
        kinds = [
            kind for kind in (string.ascii_lowercase, string.ascii_uppercase, string.digits) if set(kind) & set(letters)
        ]
        begin = "".join(numbers.choice([each for each in kind if each in letters]) for kind in kinds)
        return begin + "".join(numbers.choice(letters) for _ in range(count - len(begin)))

    def web(value: dict[str, object]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    word, low, hexadecimal = LETTERS + "_-", string.ascii_lowercase + string.digits, "0123456789abcdef"
    capitals = string.ascii_uppercase + string.digits
    user = base64.b64encode(str(numbers.randrange(10**17, 10**18)).encode()).decode()
    web_token = f"{web({'alg': 'HS256', 'typ': 'JWT'})}.{web({'sub': some(9)})}"
    for kind in "pousr":
        yield "GitHub token", f"gh{kind}_{some(36)}"
    yield "GitHub fine-grained token", f"github_pat_{some(22)}_{some(59)}"
    for kind in ("glpat", "gldt", "glft", "glsoat", "glrt", "glcbt", "glptt", "glagent", "gloas", "glimt"):
        length = {"glptt": 40, "glagent": 50, "gloas": 64, "glimt": 25}.get(kind, 20)
        yield f"GitLab {kind}", f"{kind}-{some(length, word)}"
    yield "GitLab runner registration", f"GR1348941{some(20, word)}"
    yield "Hugging Face", f"hf_{some(34)}"
    yield "OpenAI", f"sk-{some(20)}T3BlbkFJ{some(20)}"
    yield "OpenAI project", f"sk-proj-{some(20)}T3BlbkFJ{some(20)}"
    yield "Anthropic", f"sk-ant-api03-{some(93, word)}"
    yield "Stripe", f"sk_live_{some(24)}"
    yield "Stripe restricted", f"rk_live_{some(24)}"
    for kind in ("AKIA", "ASIA", "ABIA", "ACCA", "A3T" + "B"):
        yield "AWS key id", kind + some(16, capitals)
    yield "AWS secret", f'aws_secret_access_key = "{some(40, LETTERS + "/+")}"'
    yield "AWS key", f"aws_key = '{some(40, LETTERS + '/+')}'"
    yield "Google", f"AIza{some(35, word)}"
    yield "Slack", f"xoxb-{numbers.randrange(10**11)}-{numbers.randrange(10**11)}-{some(24)}"
    yield "Slack webhook", f"https://hooks.slack.com/services/T{some(8, capitals)}/B{some(8, capitals)}/{some(24)}"
    yield "JSON web token", f"{web_token}.{some(43, word)}"
    yield "JSON web token without signature", web_token
    yield "npm", f"npm_{some(36)}"
    yield "npmrc", f"//registry.example.org/:_authToken=npm_{some(36)}"
    uuid = "-".join(some(n, hexadecimal) for n in (8, 4, 4, 4, 12))
    yield "npmrc of old", f"//registry.example.org/:_authToken={uuid}"
    yield "PyPI", f"pypi-AgEIcHlwaS5vcmc{some(80, word)}"
    yield "SendGrid", f"SG.{some(22, word)}.{some(43, word)}"
    yield "Square", f"sq0csp-{some(43, word)}"
    yield "Telegram", f"{numbers.randrange(10**8, 10**10)}:AA{some(33, word)}"
    yield "Twilio account", f"AC{some(32, hexadecimal)}"
    yield "Twilio key", f"SK{some(32, hexadecimal)}"
    yield "Mailchimp", f"{some(32, hexadecimal)}-us{numbers.randrange(1, 30)}"
    yield "Discord", f"{user}.{some(6, word)}.{some(27, word)}"
    yield "Artifactory", f"AKC{some(70)}"
    yield "Artifactory password", f"AP{numbers.choice('0123456789ABCDEF')}{some(36)}"
    yield "Azure", f"AccountKey={base64.b64encode(numbers.randbytes(64)).decode()}"
    yield "IBM Cloud", f"ibm_cloud_api_key = '{some(44, word)}'"
    yield "IBM", f"apikey: {some(44, word)}"
    yield "IBM object storage", f"secret_access_key = {some(48, hexadecimal)}"
    yield "Cloudant", f"cloudant_password = '{some(64, hexadecimal)}'"
    yield "Cloudant key", f"cloudant_key = {some(24, string.ascii_lowercase)}"
    yield "SoftLayer", f'softlayer_api_key="{some(64, low)}"'
    yield "SoftLayer address", f"http://api.softlayer.com/soap/v3/{some(64, low)}"
    yield "basic authentication", f"https://ada:{some(14)}@example.org/x"
    yield "W&B", f'WANDB_API_KEY = "{some(40, hexadecimal)}"'
    yield "W&B login", f"wandb login {some(40, hexadecimal)}"
    yield "Comet", f'comet_ml.init(api_key="{some(25)}")'
    yield "Neptune", "eyJhcGlfYWRkcmVzcyI6" + some(60)
    yield "netrc", f"machine api.wandb.ai login user password {some(40, hexadecimal)}"
    for kind in ("RSA ", "EC ", "DSA ", "OPENSSH ", ""):
        body = "\n".join(some(64, LETTERS + "+/") for _ in range(4))
        yield "private key", f"-----BEGIN {kind}PRIVATE KEY-----\n{body}\n-----END {kind}PRIVATE KEY-----"
