"""The program that trained, and what it ran on."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from archiver.report.crate.graph import Entity, Graph, Reference, first_values, local, reference
from archiver.report.values import known
from archiver.storage.iris import iri_of

_PYTHON = "https://www.python.org/"
_KERAS = "https://keras.io/"
_BACKENDS = {
    "tensorflow": ("TensorFlow", "https://www.tensorflow.org/"),
    "jax": ("JAX", "https://docs.jax.dev/"),
    "torch": ("PyTorch", "https://pytorch.org/"),
}
_SOFTWARE_HERITAGE = "https://archive.softwareheritage.org/"


def entry_of(records: dict[str, Any], paths: Collection[str]) -> str | None:
    """The path of the script that was started, where it is in the archive."""
    source = records["source"]
    entry = known(source.entry) if source is not None else None
    return entry if isinstance(entry, str) and entry in paths else None


def add_instrument(graph: Graph, records: dict[str, Any], entry: str | None, entry_swhid: str | None) -> Reference:
    """The program: the entry script, else what alone is known to have run, Keras.

    Process Run Crate wants an absolute URI for it, which no file of the archive has: the script is an entity of its
    own, under its Software Heritage identifier, which follows from its content.
    """
    software = _add_software(graph, records["system"])
    if entry is None or entry_swhid is None:
        keras = next((each for each in software if each["@id"] == _KERAS), None)
        return keras or graph.add(_KERAS, "SoftwareApplication", **_application("Keras", _KERAS, ""))
    repository, commit = _repository(records["git"])
    return graph.add(
        f"{_SOFTWARE_HERITAGE}{entry_swhid}",
        "SoftwareSourceCode",
        name=entry.rpartition("/")[2],
        description="the script that was started",
        identifier=entry_swhid,
        url=iri_of(entry),
        encoding=reference(iri_of(entry)),
        version=commit or entry_swhid,
        codeRepository=repository,
        programmingLanguage=next((each for each in software if each["@id"] == _PYTHON), None),
        softwareRequirements=software,
    )


def _add_software(graph: Graph, system: Any) -> list[Reference]:
    if system is None:
        return []
    python = system.python.version.split(" ", 1)[0] or "not recorded"
    kind = ["ComputerLanguage", "SoftwareApplication"]
    found = [graph.add(_PYTHON, kind, name=system.python.implementation, url=_PYTHON, softwareVersion=python)]
    framework = known(system.framework)
    if framework is None:
        return found
    found.append(graph.add(_KERAS, "SoftwareApplication", **_application("Keras", _KERAS, framework.keras_version)))
    backend = known(getattr(framework, framework.backend, None)) if framework.backend in _BACKENDS else None
    if backend is not None:
        name, url = _BACKENDS[framework.backend]
        found.append(graph.add(url, "SoftwareApplication", **_application(name, url, backend.version)))
    return found


def _application(name: str, url: str, version: str) -> Entity:
    return {"name": name, "url": url, "softwareVersion": version or "not recorded"}


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
    return [graph.value(local("environment", name), name, value) for name, value in first_values(variables)]
