"""Each deliberate difference is found, is the first cause, and says what it means."""

import pytest

from archiver import compare, layout
from archiver.comparison.causes import causes_between, inputs_compared
from archiver.comparison.differences import Cause
from archiver.storage.digests import sha256_of
from archiver.testing import tiny_run
from tests.archive.resealing import edit_json

NO_REPOSITORY = {"unavailable": "made up"}


def phase(document):
    return document["phases"][0]


def determinism(document):
    return phase(document)["determinism"]


def split(document, name="train"):
    return document["splits"][name]


def seeded(document, seed=7):
    phase(document)["seed"] = {"seed": seed, "deterministic_ops": False, "generators": ["python"]}


def other_samples(document):
    split(document)["samples_fingerprint"] = "0" * 64
    split(document)["arrays"][0]["sha256"] = "0" * 64
    split(document)["arrays"][0]["mean"] += 0.5


def other_order(document):
    for array in split(document)["arrays"]:
        array["sha256"] = "1" * 64


def package(version, name="numpy"):
    def edit(document):
        document["packages"][name] = document["packages"]["keras"] | {"name": name, "version": version}

    return edit


def other_contents(document):
    document["packages"]["keras"]["record_sha256"] = "0" * 64


def initializer(document):
    document["layers"][0]["config"]["kernel_initializer"] = {
        "module": "keras.initializers", "class_name": "HeNormal", "config": {"seed": None}, "registered_name": None,
    }  # fmt: skip


def gpu(document):
    document["gpus"] = {"driver_version": "1", "cuda_driver_version": "2", "devices": []}


CASES = [
    # file, edit, kind, subject, in the text or its explanation
    (layout.TRAIN_CONFIG, seeded, "seeds", "seed", "seed: new, 7"),
    (layout.TRAIN_CONFIG, lambda d: phase(d).update(batch_size=8), "configuration", "batch_size", "16, now 8"),
    (layout.TRAIN_CONFIG, lambda d: phase(d).update(epochs=9), "configuration", "epochs", "3, now 9"),
    (layout.TRAIN_CONFIG, lambda d: phase(d).update(shuffle=False), "configuration", "shuffle", "True, now False"),
    (layout.TRAIN_CONFIG, lambda d: phase(d).update(class_weight={"0": 2.0}), "configuration", "class_weight.0", "2"),
    (
        layout.TRAIN_CONFIG,
        lambda d: phase(d).update(hyperparameters={"net": {"width": 8}}),
        "configuration",
        "hyperparameters.net.width",
        "8",
    ),
    (
        layout.TRAIN_CONFIG,
        lambda d: phase(d).update(
            callbacks=[
                {
                    "class_name": "keras.src.callbacks.EarlyStopping",
                    "position": 0,
                    "attributes": {},
                    "arguments": {"patience": 3},
                }
            ]
        ),
        "configuration",
        "callback EarlyStopping",
        "EarlyStopping",
    ),
    (
        layout.TRAIN_CONFIG,
        lambda d: phase(d)["dtype_policies"].update(model="mixed_float16"),
        "settings",
        "dtype policy",
        "precision",
    ),
    (
        layout.TRAIN_CONFIG,
        lambda d: phase(d)["jit_compile"].update(resolved=True),
        "settings",
        "XLA",
        "adds in another order",
    ),
    (
        layout.TRAIN_CONFIG,
        lambda d: determinism(d)["onednn"].update(enabled=False),
        "settings",
        "oneDNN",
        "another order",
    ),
    (
        layout.TRAIN_CONFIG,
        lambda d: determinism(d)["threads"].update(intra_op_resolved=1),
        "settings",
        "threads (within operations)",
        "sums are split",
    ),
    (
        layout.TRAIN_CONFIG,
        lambda d: determinism(d).update(op_determinism=True),
        "settings",
        "deterministic operations",
        "bits",
    ),
    (
        layout.TRAIN_CONFIG,
        lambda d: determinism(d)["seeds"].update(python_hash=0),
        "seeds",
        "PYTHONHASHSEED",
        "sets of text",
    ),
    (
        layout.TRAIN_CONFIG,
        lambda d: determinism(d)["environment"].update(XLA_FLAGS="-x"),
        "settings",
        "XLA_FLAGS",
        "-x",
    ),
    (
        layout.TRAIN_CONFIG,
        lambda d: determinism(d).update(random_states={"keras": "0" * 64, "python": "1" * 64}),
        None,
        None,
        "",
    ),
    (
        layout.OPTIMIZER_CONFIG,
        lambda d: phase(d)["config"].update(learning_rate=0.02),
        "configuration",
        "optimizer.learning_rate",
        "0.01, now 0.02",
    ),
    (
        layout.OPTIMIZER_CONFIG,
        lambda d: phase(d).update(class_name="keras.Adam"),
        "configuration",
        "optimizer",
        "SGD, now Adam",
    ),
    (layout.OPTIMIZER_CONFIG, lambda d: phase(d).update(iterations=4), "origin", "steps made before", "had been used"),
    (
        layout.MODEL_CONFIG,
        lambda d: d["layers"][0]["config"].update(units=99),
        "configuration",
        "layer 1.units",
        "160, now 99",
    ),
    (
        layout.MODEL_CONFIG,
        lambda d: d["layers"][1]["config"].update(rate=0.1),
        "configuration",
        "layer 2.rate",
        "0.5, now 0.1",
    ),
    (layout.MODEL_CONFIG, initializer, "configuration", "layer 1.kernel_initializer.class", "HeNormal"),
    (
        layout.MODEL_CONFIG,
        lambda d: d["config"]["config"]["layers"].reverse(),
        "configuration",
        "connections of the layers",
        "another way",
    ),
    (layout.DATASET_STATS, other_samples, "data", "train data", "x differs (mean"),
    (layout.DATASET_STATS, other_order, "data", "train data", "in another order"),
    (
        layout.DATASET_STATS,
        lambda d: split(d, "validation").update(samples_fingerprint="0" * 64),
        "data",
        "validation data",
        "early stopping",
    ),
    (
        layout.DATASET_STATS,
        lambda d: split(d, "test").update(samples_fingerprint="0" * 64),
        "data",
        "test data",
        "test results alone",
    ),
    (layout.PREPROCESSING, lambda d: d.update(description={"scale": 2}), "configuration", "preprocessing", ""),
    (layout.PACKAGES, package("2.0"), "packages", "package numpy", "bits may differ"),
    (layout.PACKAGES, package("2.0", "left-pad"), "packages", "package left-pad", "only where the program uses it"),
    (layout.PACKAGES, other_contents, "packages", "contents of package keras", "edited in place"),
    (
        layout.SYSTEM,
        lambda d: d["processor"].update(flags=[*d["processor"]["flags"], "avx9000"]),
        "hardware",
        "CPU flags",
        "new, avx9000",
    ),
    (layout.SYSTEM, lambda d: d["processor"].update(model="another"), "hardware", "processor model", "another"),
    (layout.SYSTEM, lambda d: d["python"].update(version="3.99"), "platform", "Python", "3.99"),
    (layout.SYSTEM, lambda d: d["operating_system"].update(libc="musl 1"), "platform", "C library", "last bits"),
    (
        layout.SYSTEM,
        lambda d: d["framework"]["keras"].update(image_data_format="channels_first"),
        "settings",
        "keras image data format",
        "",
    ),
    (
        layout.RESULTS,
        lambda d: d.update(initial_weights_digest="0" * 64),
        "origin",
        "initial weights",
        "before the first step",
    ),
    (
        layout.RUN,
        lambda d: d["command"].update(arguments=["--rate", "0.1"]),
        "configuration",
        "arguments",
        "--rate 0.1",
    ),
]


@pytest.mark.parametrize(("file", "edit", "kind", "subject", "text"), CASES, ids=lambda value: str(value)[:40])
def test_each_difference_is_found(pair, file, edit, kind, subject, text):
    before, after = pair
    edit_json(after.path_of(file), edit)
    causes, _gaps = inputs_compared(before, after)
    if kind is None:
        assert causes == []
        return
    first = causes[0]
    assert (first.kind, first.subject) == (kind, subject)
    assert text in f"{first.text} {first.why}"
    assert first.where.startswith(f"{file.record.KIND}#")
    mirrored = inputs_compared(after, before)[0]
    assert [(each.subject, each.before, each.after) for each in mirrored] == [
        (each.subject, each.after, each.before) for each in causes
    ]


NOTHING = [
    (layout.SYSTEM, lambda d: d["machine"].update(host_name="elsewhere", boot_id="x")),
    (layout.SYSTEM, lambda d: d["memory"].update(available_bytes=1, swap_free_bytes=2)),
    (layout.SYSTEM, lambda d: d["process"].update(process_id=1, working_directory="~/other", executable="/x")),
    (layout.SYSTEM, lambda d: d["environment"].update(SLURM_JOB_ID="9", VIRTUAL_ENV="/x", TF_CPP_MIN_LOG_LEVEL="3")),
    (layout.SYSTEM, lambda d: d["processor"].update(current_frequency_hertz=1e9)),
    (layout.RUN, lambda d: d.update(archiver_version="99", tags=["other"], notes="n", group="g")),
    (layout.PACKAGES, lambda d: d["packages"]["keras"].update(location="~/elsewhere", installer="uv")),
    (layout.MODEL_CONFIG, lambda d: d["layers"][0].update(name="dense_7")),
    (layout.MODEL_CONFIG, lambda d: (d.update(name="other"), d["config"]["config"].update(name="other"))),
    (layout.OPTIMIZER_CONFIG, lambda d: phase(d)["config"].update(name="other")),
    (layout.TRAIN_CONFIG, lambda d: phase(d)["resolved_arguments"].update(verbose=2)),
    (layout.SYSTEM, gpu),
]


@pytest.mark.parametrize(("file", "edit"), NOTHING)
def test_what_cannot_matter_is_no_cause(pair, file, edit):
    before, after = pair
    edit_json(after.path_of(file), edit)
    assert causes_between(before, after) == []


def change_source(run, text, **fields):
    data = text.encode()
    record = run.read(layout.SOURCE)
    (run.path / record.files[0].path).write_bytes(data)
    edit_json(run.path_of(layout.SOURCE), lambda d: d["files"][0].update(sha256=sha256_of(data), **fields))


def test_a_source_line_is_a_cause_with_its_diff(pair):
    before, after = pair
    change_source(after, "import keras\n\nprint('another line')\n", original_path="other_name.py")
    found = compare(before, after)
    assert [(each.kind, each.subject) for each in found.causes] == [("code", "source other_name.py")]
    assert found.causes[0].why == "1 line added, 1 removed"
    (part,) = found.code
    assert part.diff[:2] == ("--- train.py", "+++ other_name.py")
    assert "-print('made up by archiver.testing')" in part.diff
    assert "+print('another line')" in part.diff


def test_a_comment_is_an_unlikely_cause(pair):
    before, after = pair
    change_source(after, "import keras  # the library\n\nprint('made up by archiver.testing')\n")
    edit_json(after.path_of(layout.PACKAGES), package("1", "left-pad"))
    assert [each.subject for each in causes_between(before, after)] == ["package left-pad", "source train.py"]


def test_source_files_that_came_and_went(pair):
    before, after = pair
    data = b"x = 1\n"
    (after.path / "environment/source/helper.py").write_bytes(data)
    part = {"path": "environment/source/helper.py", "original_path": "helper.py", "role": "module", "module": "helper",
            "size_bytes": 6, "sha256": sha256_of(data)}  # fmt: skip
    edit_json(after.path_of(layout.SOURCE), lambda d: d["files"].append(part))
    (found,) = compare(before, after).code
    assert (found.path, found.change, found.diff[0], found.diff[-1]) == (
        "helper.py",
        "added",
        "--- /dev/null",
        "+x = 1",
    )
    (found,) = compare(after, before).code
    assert (found.change, found.diff[1], found.diff[-1]) == ("removed", "+++ /dev/null", "-x = 1")


def test_uncommitted_changes_are_shown(pair):
    before, after = pair
    after.path_of(layout.PATCH).write_text("diff --git a/x b/x\n+1\n")
    (part,) = compare(before, after).code
    assert (part.role, part.change, part.diff[-1]) == ("patch", "added", "++1")


def test_the_most_meaningful_comes_first(pair):
    before, after = pair
    edit_json(after.path_of(layout.SYSTEM), lambda d: d["processor"].update(model="another"))
    edit_json(after.path_of(layout.PACKAGES), lambda d: (package("1", "left-pad")(d), package("2")(d)))
    edit_json(after.path_of(layout.DATASET_STATS), other_samples)
    edit_json(after.path_of(layout.OPTIMIZER_CONFIG), lambda d: phase(d)["config"].update(learning_rate=1.0))
    edit_json(after.path_of(layout.TRAIN_CONFIG), lambda d: (seeded(d), determinism(d)["onednn"].update(enabled=False)))
    change_source(after, "pass\n")
    kinds = [each.kind for each in causes_between(before, after)]
    assert kinds == ["seeds", "data", "configuration", "code", "packages", "settings", "hardware", "packages"]


def drawn(digit):
    return lambda document: determinism(document).update(random_states={"python": digit * 64})


def test_no_seed_in_either_run_is_a_cause_where_random_numbers_differ(tmp_path, pair):
    after = pair[1]
    other = tiny_run(tmp_path, "three", epochs=3, tested=True)
    edit_json(after.path_of(layout.TRAIN_CONFIG), drawn("2"))
    edit_json(other.path_of(layout.TRAIN_CONFIG), drawn("3"))
    (cause,) = causes_between(after, other)
    assert cause.subject == "random numbers"
    assert "nothing was seeded" in cause.why
    for run in (after, other):
        edit_json(run.path_of(layout.TRAIN_CONFIG), seeded)
    (cause,) = causes_between(after, other)
    assert cause.subject == "states of the random generators"
    assert "(python)" in cause.why


def test_phases_are_compared_one_by_one(tmp_path):
    one, two = tiny_run(tmp_path, "one", phases=2), tiny_run(tmp_path, "two", phases=2)
    edit_json(two.path_of(layout.TRAIN_CONFIG), lambda d: d["phases"][1].update(batch_size=4))
    (cause,) = causes_between(one, two)
    assert cause.subject == "phase 2: batch_size"
    three = tiny_run(tmp_path, "three")
    assert causes_between(one, three)[0].text == "phases: 2, now 1"


def test_what_only_one_run_could_tell_is_a_gap(pair):
    before, after = pair
    reason = {"unavailable": "a generator"}
    edit_json(after.path_of(layout.DATASET_STATS), lambda d: split(d).update(samples_fingerprint=reason, arrays=reason))
    edit_json(after.path_of(layout.TRAIN_CONFIG), lambda d: determinism(d).update(onednn=reason))
    causes, gaps = inputs_compared(before, after)
    assert causes == []
    assert ("after", "train data", "a generator") in {(each.side, each.what, each.reason) for each in gaps}
    assert ("after", "onednn", "a generator") in {(each.side, each.what, each.reason) for each in gaps}
    assert inputs_compared(after, before)[0] == []


def test_texts_have_as_many_digits_as_tell_values_apart():
    cause = Cause("configuration", "rate", 0.1, 0.1 + 1e-12, 1, "", "")
    assert cause.text == "rate: 0.10000000000000001, now 0.10000000000100001"
    assert Cause("configuration", "rate", 0.5, 0.25, 1, "", "").text == "rate: 0.5, now 0.25"
    assert Cause("configuration", "rate", 0.5, None, 1, "", "").text == "rate: 0.5, now gone"


def with_gpu(name):
    def edit(document):
        unknown = {"unavailable": "made up"}
        fields = (
            "uuid", "memory_total_bytes", "memory_used_bytes", "multi_instance", "error_correction",
            "power_limit_watts", "power_watts", "temperature_celsius", "frequency_hertz", "maximal_frequency_hertz",
            "maximal_memory_frequency_hertz", "slowed_down_by", "compute_mode", "persistence_mode", "other_processes",
            "pci_bus_id", "pci_link", "numa_node", "firmware",
        )  # fmt: skip
        device = {"index": 0, "name": name, "compute_capability": "9.0"} | dict.fromkeys(fields, unknown)
        document["gpus"] = {"driver_version": "1", "cuda_driver_version": "2", "devices": [device]}
        document["framework"]["tensorflow"]["devices"].append(
            document["framework"]["tensorflow"]["devices"][0] | {"name": "/physical_device:GPU:0", "type": "GPU"}
        )

    return edit


def test_another_gpu_is_a_cause_where_it_is_used(pair, tmp_path):
    before, after = pair
    other = tiny_run(tmp_path, "three", epochs=3, tested=True)
    edit_json(after.path_of(layout.SYSTEM), with_gpu("Tesla"))
    edit_json(other.path_of(layout.SYSTEM), with_gpu("Hopper"))
    assert [each.text for each in causes_between(after, other)] == ["GPU 0: Tesla, now Hopper"]
    assert next(each.text for each in causes_between(before, other)) == "GPU 0: new, Hopper"
