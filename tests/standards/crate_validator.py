"""Run by the Python of the validators: roc-validator over several crates, without a network.

`python crate_validator.py CONTEXTS CACHE FOLDER...` prints, as one JSON object, the issues of each folder, the checks
that were done, and those that were skipped. CONTEXTS has the JSON-LD contexts that a crate names; they are put into the
validator's cache, from which it is made to read. Whatever opens a connection or looks up a host ends the process.
"""

import io
import json
import os
import sys
from pathlib import Path

CONTEXTS = {
    "https://w3id.org/ro/crate/1.1/context": "ro-crate-1.1.json",
    "https://w3id.org/ro/terms/workflow-run/context": "workflow-run.json",
}


def refuse_network(event: str, arguments: tuple[object, ...]) -> None:
    """No exception, which somebody may catch."""
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        print(f"used the network: {event} {arguments}", file=sys.stderr, flush=True)
        os._exit(99)


def fill_cache(contexts: Path, cache: str) -> None:
    """What a web server would have answered; the validator asks with these headers, or with none."""
    import requests
    import urllib3
    from requests_cache import CachedSession

    session = CachedSession(cache_name=cache, backend="sqlite", allowable_methods=("GET",), expire_after=-1)
    for address, name in CONTEXTS.items():
        for accept in (
            None,
            "application/ld+json, application/json, */*;q=0.1",
            "application/ld+json, application/json",
        ):
            request = session.prepare_request(
                requests.Request("GET", address, headers={"Accept": accept} if accept else {})
            )
            answer = urllib3.HTTPResponse(
                body=io.BytesIO((contexts / name).read_bytes()),
                status=200,
                headers={"Content-Type": "application/ld+json"},
                preload_content=False,
            )
            response = requests.adapters.HTTPAdapter().build_response(request, answer)
            assert response.content
            session.cache.save_response(response)


def validate(folder: str, cache: str) -> dict[str, object]:
    from rocrate_validator import services
    from rocrate_validator.models import Severity, ValidationSettings

    settings = ValidationSettings(
        rocrate_uri=folder,
        profile_identifier="process-run-crate",
        requirement_severity=Severity.RECOMMENDED,
        cache_path=Path(cache),
        offline=True,
    )
    result = services.validate(settings)
    return {
        "issues": [
            f"{issue.check.identifier} {issue.violatingEntity}: {issue.message}" for issue in result.get_issues()
        ],
        "checks": sorted(check.identifier for check in result.executed_checks),
        "skipped": sorted(check.identifier for check in result.skipped_checks),
    }


def main() -> None:
    contexts, cache, *folders = sys.argv[1:]
    sys.addaudithook(refuse_network)
    fill_cache(Path(contexts), cache)
    print(json.dumps({folder: validate(folder, cache) for folder in folders}))


if __name__ == "__main__":
    main()
