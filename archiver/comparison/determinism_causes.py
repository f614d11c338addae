"""What differs in what decides the bits of a training: seeds, random states, threads, numerical settings."""

from __future__ import annotations

from typing import Any

from archiver.comparison.differences import Cause, Found, Rank
from archiver.comparison.facts import Facts, Topic, differing, digest_of, fact, flat, known
from archiver.records.determinism import DeterminismPart
from archiver.records.training import PhaseConfig

RECORD = "train_config"
_SEED = Topic("seeds", Rank.SEED, "decides initial weights, the order of the samples, dropout and augmentation")
_STATE = "with the same seed, other random numbers were drawn before training: look at what the program does until then"
_UNSEEDED = "nothing was seeded: each training draws other random numbers; call archiver.seed(...) in both"
_SUMS = "decides bits: sums are made in another order"
_THREADS = Topic("settings", Rank.SETTING, "decides bits: sums are split over another number of threads")
_VARIABLE = Topic("settings", Rank.VARIABLE, "an environment variable that decides bits")
_FOLLOWED = ("onednn.variable", "xla.flags")
"""They stand among the environment variables, too."""

_SETTINGS: dict[str, str] = {
    "op_determinism": "decides bits: whether operations repeat exactly",
    "onednn": _SUMS,
    "xla": "decides bits: XLA fuses operations and adds in another order",
    "tensor_float_32": "decides bits: GPUs round the inputs of products",
    "matmul_precision": "decides bits: the precision of products",
    "dtype_policy": "decides bits: the precision of all that is computed",
    "floatx": "decides bits: the type of numbers where none is said",
    "epsilon": "decides bits",
    "denormals": "decides bits of the smallest numbers",
    "backend_flags": "decides bits",
}
_TITLES = {
    "onednn.enabled": "oneDNN",
    "op_determinism": "deterministic operations",
    "xla.auto_clustering": "XLA auto-clustering",
    "tensor_float_32": "TensorFloat-32",
    "dtype_policy": "global dtype policy",
}


def causes_in_determinism(before: PhaseConfig, after: PhaseConfig, place: int) -> Found:
    """Of one call of `fit`."""
    seeds = _seed(before), _seed(after)
    if seeds[0] != seeds[1]:
        yield Cause("seeds", "seed", *seeds, _SEED.rank, _SEED.why, f"{RECORD}#/phases/{place}/seed")
    old, new = known(before.determinism), known(after.determinism)
    facts = [() if part is None else tuple(_facts(part, place)) for part in (old, new)]
    if old is not None and new is not None:
        if seeds[0] == seeds[1]:
            yield from _random_states(old, new, seeds[0], place)
        yield from differing(RECORD, *facts)


def _seed(phase: PhaseConfig) -> int | None:
    """That of `archiver.seed`, else of Keras, else of the backend."""
    seed = known(phase.seed)
    if seed is not None:
        return int(seed.seed)
    part = known(phase.determinism)
    found = [] if part is None else [known(part.seeds.keras), known(part.seeds.tensorflow)]
    return next((each for each in found if each is not None), None)


def _random_states(before: DeterminismPart, after: DeterminismPart, seed: int | None, place: int) -> Found:
    """The generators whose states differ, as one cause."""
    names = [name for name, state in before.random_states.items() if _differ(state, after.random_states.get(name))]
    states = [[(known(each.state), each.seed) for each in part.seed_generators] for part in (before, after)]
    if states[0] != states[1] and len(states[0]) == len(states[1]):
        names.append("layers")
    if names or seed is None:
        values = tuple(digest_of([part.random_states.get(name) for name in names]) for part in (before, after))
        why = _UNSEEDED if seed is None else f"{_STATE} ({', '.join(names)})"
        if names:
            subject = "random numbers" if seed is None else "states of the random generators"
            pointer = f"{RECORD}#/phases/{place}/determinism/random_states"
            yield Cause("seeds", subject, values[0], values[1], Rank.RANDOM_STATE, why, pointer)


def _differ(before: Any, after: Any) -> bool:
    one, other = known(before), known(after)
    return one is not None and other is not None and one != other


def _facts(part: DeterminismPart, place: int) -> Facts:
    at = ("phases", place, "determinism")
    hashes = Topic("seeds", Rank.SETTING, "the order of sets of text differs between processes")
    yield fact(hashes, "PYTHONHASHSEED", part.seeds.python_hash, *at, "seeds", "python_hash")
    for kind in ("intra_op", "inter_op"):
        title = f"threads ({'within' if kind == 'intra_op' else 'between'} operations)"
        threads = getattr(part.threads, f"{kind}_resolved")
        yield fact(_THREADS, title, threads, *at, "threads", f"{kind}_resolved")
    cores = Topic("hardware", Rank.HARDWARE, "the number of threads follows from it where none is set")
    yield fact(cores, "usable cores", part.threads.usable_cores, *at, "threads", "usable_cores")
    for name, why in _SETTINGS.items():
        for each in flat(Topic("settings", Rank.SETTING, why), name, getattr(part, name), *at, name):
            if each.subject not in _FOLLOWED:
                yield fact(each.topic, _TITLES.get(each.subject, each.subject), each.value, *at, name)
    sets = Topic("settings", Rank.SETTING, "decides bits: other instructions of the processor")
    yield from flat(sets, "instruction sets", part.instruction_sets, *at, "instruction_sets")
    devices = Topic("hardware", Rank.SETTING, "decides bits: where the model is computed")
    yield from flat(devices, "devices", part.devices, *at, "devices")
    for name, value in part.environment.items():
        if name != "PYTHONHASHSEED":
            yield fact(_VARIABLE, name, value, *at, "environment", name)
