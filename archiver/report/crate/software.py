"""The program that trained, and what it ran on."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from archiver import layout
from archiver.report.crate.graph import Entity, Graph, Reference, local, named, reference, text
from archiver.report.values import known
from archiver.storage.iris import iri_of

_PYTHON = "https://www.python.org/"
_KERAS = "https://keras.io/"
_BACKENDS = {
    "tensorflow": ("TensorFlow", "https://www.tensorflow.org/"),
    "jax": ("JAX", "https://docs.jax.dev/"),
    "torch": ("PyTorch", "https://pytorch.org/"),
}
_HEX = re.compile(r"[0-9a-f]{64}")


def add_instrument(
    graph: Graph, records: dict[str, Any], paths: Collection[str]
) -> tuple[Reference, dict[str, Entity]]:
    """The program: the entry script in the archive, else an application that stands for it.

    Returns:
        The reference to it, and by path what a file is beyond a file.
    """
    requirements = _add_software(graph, records["system"])
    repository, version = _repository(records["git"])
    source = records["source"]
    entry = known(source.entry) if source is not None else None
    language = next((each for each in requirements if each["@id"] == _PYTHON), None)
    common: Entity = {"codeRepository": repository, "softwareRequirements": requirements}
    if isinstance(entry, str) and entry in paths:
        digests = [file.sha256 for file in source.files if file.path == entry and _HEX.fullmatch(file.sha256)]
        own = version or (f"sha256:{digests[0]}" if digests else "not versioned")
        code: Entity = {"@type": ["File", "SoftwareSourceCode"], "url": iri_of(entry), "version": own}
        return reference(iri_of(entry)), {entry: code | common | {"programmingLanguage": language}}
    description = "The program that trained; its source is not in the archive."
    what: Entity = {"name": _program_name(records["run"]), "description": description, "url": layout.README.pattern}
    return graph.add(
        "#program", "SoftwareApplication", **what, softwareVersion=version or "not versioned", **common
    ), {}


def _program_name(run: Any) -> str:
    command = known(run.command) if run is not None else None
    target = command.target if command is not None and command.start in ("script", "module") else None
    return text(target) if target else "Training program"


def _add_software(graph: Graph, system: Any) -> list[Reference]:
    if system is None:
        return []
    python = system.python.version.split(" ", 1)[0] or "unknown"
    kind = ["ComputerLanguage", "SoftwareApplication"]
    found = [graph.add(_PYTHON, kind, name=system.python.implementation, url=_PYTHON, softwareVersion=python)]
    framework = known(system.framework)
    if framework is None:
        return found
    found.append(_add_application(graph, "Keras", _KERAS, framework.keras_version))
    backend = known(getattr(framework, framework.backend, None)) if framework.backend in _BACKENDS else None
    if backend is not None:
        found.append(_add_application(graph, *_BACKENDS[framework.backend], backend.version))
    return found


def _add_application(graph: Graph, name: str, url: str, version: str) -> Reference:
    return graph.add(url, "SoftwareApplication", name=name, url=url, softwareVersion=version or "unknown")


def _repository(git: Any) -> tuple[str | None, str | None]:
    """The address of the first remote, and the commit; `-dirty` as git says it: there were uncommitted changes."""
    repository = known(git.repository) if git is not None else None
    if repository is None:
        return None, None
    urls = [remote.url for remote in known(repository.remotes, ()) if remote.url]
    commit = known(repository.commit)
    dirty = "-dirty" if known(repository.dirty) is True else ""
    return (urls[0] if urls else None), (f"git:{commit.hash}{dirty}" if commit is not None else None)


def add_environment(graph: Graph, system: Any) -> list[Reference]:
    """The recorded environment variables."""
    variables = system.environment.items() if system is not None else ()
    return [graph.value(local("environment", name), name, value) for name, value in named(variables)]
