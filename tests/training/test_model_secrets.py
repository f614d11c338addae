"""Secrets in a model's own configuration stand nowhere in its archive, and the model can still be loaded."""

import io
import zipfile

import keras
import pytest

import archiver
from archiver import layout
from archiver.errors import ArchiverWarning
from archiver.training.names import removed_pieces
from archiver.training.secrets import Secrets, check_file, find_secrets
from archiver.training.weights import weights_digest
from tests.training import small

LAYER = "ghp_" + "L" * 36
LOSS = "hf_" + "S" * 34
OPTIMIZER = "sk-" + "O" * 48
PASSWORD = "-".join(("correct", "horse", "battery", "staple"))  # the archive holds a copy of this source
TEXT = "glpat-" + "T" * 20
TOKENS = (LAYER, LOSS, OPTIMIZER, PASSWORD, TEXT)


@keras.saving.register_keras_serializable("tests")
class Remote(keras.layers.Layer):
    """A layer that is told how to log in."""

    def __init__(self, api_key=None, password=None, note=None, **kwargs):
        super().__init__(**kwargs)
        self.api_key, self.password, self.note = api_key, password, note

    def get_config(self):
        return super().get_config() | {"api_key": self.api_key, "password": self.password, "note": self.note}

    def call(self, inputs):
        return inputs


@keras.saving.register_keras_serializable("tests")
class RemoteLoss(keras.losses.Loss):
    def __init__(self, token=None, **kwargs):
        super().__init__(**kwargs)
        self.token = token

    def get_config(self):
        return super().get_config() | {"token": self.token}

    def call(self, y_true, y_pred):
        return keras.ops.mean(keras.ops.square(y_true - y_pred), axis=-1)


@keras.saving.register_keras_serializable("tests")
class RemoteSgd(keras.optimizers.SGD):
    def __init__(self, api_token=None, **kwargs):
        super().__init__(**kwargs)
        self.api_token = api_token

    def get_config(self):
        return super().get_config() | {"api_token": self.api_token}


def remote_model(kind="functional"):
    remote = Remote(LAYER, PASSWORD, note=f'the "key" is {TEXT}, keep it', name="remote")
    inner = keras.Sequential([keras.layers.Input((4,)), remote, keras.layers.Dense(3)], name="inner")
    if kind == "sequential":
        return keras.Sequential([keras.layers.Input((4,)), inner, keras.layers.Dense(2)], name="outer")
    value = keras.Input((4,))
    return keras.Model(value, keras.layers.Dense(2)(inner(value)), name="outer")


def contents(root):
    """All bytes of all files, and of the members of zip files."""
    for path in root.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            yield str(path), data
            if zipfile.is_zipfile(io.BytesIO(data)):
                with zipfile.ZipFile(path) as archive:
                    yield from ((f"{path}!{member}", archive.read(member)) for member in archive.namelist())


def train(root, model, **compile_arguments):
    arguments = {"optimizer": RemoteSgd(OPTIMIZER, learning_rate=0.1), "loss": RemoteLoss(LOSS)} | compile_arguments
    model.compile(**arguments)
    archive = archiver.RunArchiver(root, name="a")
    x, other = small.arrays()[0], small.arrays(seed=1)[0]
    model.fit(x, x[:, :2], validation_data=(other, other[:, :2]), epochs=2, verbose=0, callbacks=[archive])
    return archive.run


@pytest.mark.parametrize("kind", ["functional", "sequential"])
def test_the_tokens_are_nowhere_and_the_model_loads(kind, tmp_path):
    model = remote_model(kind)
    run = train(tmp_path, model)
    found = [(name, token) for name, data in contents(run.path) for token in TOKENS if token.encode() in data]
    assert found == []
    formats = run.read(layout.WEIGHTS).formats
    assert {name: (part.file is not None, part.redacted) for name, part in formats.items()} == {
        "keras": (True, True),
        "h5": (True, True),
        "weights.h5": (True, False),
    }
    assert archiver.verify(run.path, deep=True).findings == ()
    digest = run.read(layout.WEIGHTS).weights_digest
    loaded = keras.saving.load_model(run.path_of(layout.KERAS_MODEL))
    assert weights_digest(loaded.weights) == digest == weights_digest(model.weights)
    assert type(loaded.optimizer) is RemoteSgd
    (remote,) = (layer for layer in loaded.get_layer("inner").layers if layer.name == "remote")
    assert (remote.api_key, remote.note) == ("[redacted]", 'the "key" is [redacted], keep it')
    legacy = keras.saving.load_model(run.path_of(layout.H5_MODEL), compile=False, custom_objects={"Remote": Remote})
    assert weights_digest(legacy.weights) == digest
    loaded.load_weights(run.path_of(layout.WEIGHTS_H5))


def test_the_live_model_keeps_its_configuration(tmp_path):
    model = remote_model()
    train(tmp_path, model)
    assert LAYER in str(model.get_config())
    assert LOSS in str(model.get_compile_config())
    assert not {"get_config", "get_compile_config", "get_build_config"} & vars(model).keys()


def test_a_model_without_secrets_is_saved_as_ever(tmp_path):
    model = small.model()
    assert find_secrets(model) is None
    archive = archiver.RunArchiver(tmp_path, name="a")
    x, y = small.arrays()
    model.fit(x, y, epochs=1, verbose=0, callbacks=[archive])
    assert not any(part.redacted for part in archive.run.read(layout.WEIGHTS).formats.values())


def test_a_secret_in_a_name_costs_the_formats_that_hold_names(tmp_path):
    name = "ghp_" + "N" * 36
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2, name=name)])
    with pytest.warns(ArchiverWarning, match="best weights could not be archived"):
        run = train(tmp_path, model, optimizer="adam", loss="mse")
    assert [path for path, data in contents(run.path) if name.encode() in data] == []
    table = run.read(layout.WEIGHTS)
    assert all("name" in part.unavailable for part in table.formats.values())
    assert {part.layer for part in table.variables} == {"[redacted]"}
    assert {part.slot for part in table.optimizer_variables} == {None, "momentum", "velocity"}
    assert archiver.verify(run.path, deep=True).findings == ()


@keras.saving.register_keras_serializable("tests")
class WithAssets(Remote):
    def save_assets(self, folder):
        with open(f"{folder}/key.txt", "w", encoding="utf-8") as file:
            file.write(self.api_key)

    def load_assets(self, folder):
        pass


def test_a_secret_in_the_assets_of_a_layer_costs_the_format_that_holds_them(tmp_path):
    model = keras.Sequential([keras.layers.Input((4,)), WithAssets(LAYER), keras.layers.Dense(2)])
    run = train(tmp_path, model)
    formats = run.read(layout.WEIGHTS).formats
    assert "cannot be taken out" in formats["keras"].unavailable
    assert formats["h5"].file is not None
    assert formats["weights.h5"].file is not None
    assert [path for path, data in contents(run.path) if LAYER.encode() in data] == []
    assert archiver.verify(run.path, deep=True).findings == ()


def test_a_compressed_member_is_looked_through(tmp_path):
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("assets/key.txt", "my key is " + LAYER)
    assert LAYER.encode() not in path.read_bytes(), "it is compressed"
    with pytest.raises(archiver.errors.ArchiverError, match="cannot be taken out"):
        check_file(path, "keras", Secrets(frozenset({LAYER}), frozenset(), in_names=False))
    check_file(path, "keras", Secrets(frozenset({LOSS}), frozenset(), in_names=False))


def test_the_pieces_that_were_taken_out():
    assert removed_pieces("a SECRET b", "a [redacted] b") == ["SECRET"]
    assert removed_pieces("ONETWO x THREE", "[redacted] x [redacted]") == ["ONETWO", "THREE"]
    assert removed_pieces("something else", "not [redacted]") == ["something else"]
