"""What is drawn, and whether it can be read: contrasts of page and figures, intervals, edges."""

import colorsys
import itertools
import re
import warnings
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from archiver import layout
from archiver.records.scores import CalibrationBin, CalibrationPart
from archiver.report.context import read_records
from archiver.report.figures import style
from archiver.report.figures.arrangement import arrange
from archiver.report.figures.bars import class_distribution
from archiver.report.figures.calibration import calibration_curve, wilson_interval
from archiver.report.figures.confusion import confusion_matrix, readable_on, shade
from archiver.report.figures.learning_curves import learning_curves
from archiver.report.figures.predictions import MAXIMAL_POINTS, predictions_figure
from archiver.report.markdown import format_score
from archiver.report.stored_predictions import target_and_prediction
from archiver.testing import tiny_run

CSS = (Path(__file__).parents[2] / "templates" / "report.css").read_text(encoding="utf-8")
LEAST_CONTRAST = 4.5
"""WCAG 2.2, level AA, of text in an ordinary size."""

Colour = tuple[float, float, float]


def colour(text: str) -> Colour:
    digits = text.lstrip("#")
    digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
    red, green, blue = (int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4))
    return red, green, blue


def luminance(parts: Colour) -> float:
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: Colour, other: Colour) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def themes() -> dict[str, dict[str, str]]:
    """The page's colours by theme."""
    light, dark, paper = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
    named = {"light": light, "dark": dark, "paper": paper}
    found = {name: dict(re.findall(r"--(\w+): (#\w+)", text)) for name, text in named.items()}
    return found | {"paper": found["light"] | found["paper"]}


@pytest.mark.parametrize("theme", ["light", "dark", "paper"])
def test_every_text_of_the_page_has_contrast(theme):
    colours = themes()[theme]
    grounds = [colours.pop(name) for name in ("background", "surface")]
    colours.pop("line")
    assert len(colours) == 8
    for (name, text), ground in itertools.product(colours.items(), grounds):
        assert contrast(colour(text), colour(ground)) >= LEAST_CONTRAST, (name, ground)


FIGURE_TEXTS = (style.TEXT, style.MUTED, style.BLUE, style.ORANGE_TEXT)


def darkened(parts: Colour) -> Colour:
    """CSS: `invert(.925) hue-rotate(180deg)`, as browsers compute it (Filter Effects Module 1, 180 degrees)."""
    assert "filter: invert(.925) hue-rotate(180deg);" in CSS
    inverted = np.array([0.925 - 0.85 * part for part in parts])
    turn = np.array([[-0.574, 1.43, 0.144], [0.426, 0.43, 0.144], [0.426, 1.43, -0.856]])
    red, green, blue = (float(part) for part in np.clip(turn @ inverted, 0, 1))
    return red, green, blue


@pytest.mark.parametrize("text", FIGURE_TEXTS)
def test_every_text_of_a_figure_has_contrast(text):
    white = (1.0, 1.0, 1.0)
    assert contrast(colour(text), white) >= LEAST_CONTRAST
    assert contrast(darkened(colour(text)), darkened(white)) >= LEAST_CONTRAST


def test_colours_of_labels_are_those_of_curves():
    hues = [colorsys.rgb_to_hls(*colour(each))[0] for each in (style.ORANGE, style.ORANGE_TEXT)]
    assert hues[0] == pytest.approx(hues[1], abs=0.01)


@pytest.mark.parametrize("is_right", [True, False])
def test_numbers_in_cells_have_contrast(is_right):
    for share in np.linspace(0, 1, 51):
        ground = shade(float(share), is_right=is_right)
        text = {"black": (0.0, 0.0, 0.0), "white": (1.0, 1.0, 1.0)}[readable_on(ground)]
        assert contrast(text, ground) >= LEAST_CONTRAST, share


@pytest.mark.parametrize(
    ("share", "count", "low", "high"),
    # the last two from Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I
    [(0.0, 10, 0.0, 0.2775), (1.0, 10, 0.7225, 1.0), (81 / 263, 263, 0.2553, 0.3662), (15 / 148, 148, 0.0624, 0.1605)],
)
def test_the_interval_of_a_share(share, count, low, high):
    assert wilson_interval(share, count) == pytest.approx((low, high), abs=1e-4)


def text_of(svg: bytes) -> str:
    return " | ".join(ET.fromstring(svg).itertext())


def width_of(svg: bytes) -> float:
    return float(ET.fromstring(svg).attrib["width"].removesuffix("pt"))


def test_a_calibration_curve_leaves_out_empty_bins():
    bins = [
        CalibrationBin(low=0.0, high=0.5, count=0, confidence=float("nan"), accuracy=float("nan")),
        CalibrationBin(low=0.5, high=1.0, count=8, confidence=0.75, accuracy=0.5),
    ]
    part = CalibrationPart.model_construct(bins=tuple(bins), expected_calibration_error=0.25)
    assert "calibration error 0.250" in text_of(calibration_curve(part))
    empty = CalibrationPart.model_construct(bins=tuple(bins[:1]), expected_calibration_error=0.25)
    assert calibration_curve(empty) is None


@pytest.mark.parametrize(("classes", "is_narrow"), [(2, True), (12, True), (13, False), (60, False)])
def test_a_small_confusion_matrix_leaves_room_beside_it(classes, is_narrow):
    svg = confusion_matrix(np.eye(classes).tolist(), [f"class {index}" for index in range(classes)])
    assert (width_of(svg) == style.HALF_WIDTH_INCHES * 72) == is_narrow
    assert width_of(svg) <= style.WIDTH_INCHES * 72


def test_panels_have_room_for_their_labels_and_one_size():
    names = {"0": "\N{CAT} " + "long name " * 3, "1": "b"}
    figures = []

    def kept(figure):
        figures.append(figure)
        arrange(figure)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("archiver.report.figures.style.arrange", kept)
        class_distribution({"train": {"0": 3, "1": 700_000}, "test": {"0": 1, "1": 5}}, names)
    (figure,) = figures
    panels = figure.axes
    sizes = {tuple(np.round(axes.get_window_extent().size, 3)) for axes in panels}
    assert len(sizes) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the cat
        outer = [axes.get_tightbbox() for axes in panels]
    assert min(box.x0 for box in outer) >= 0
    assert max(box.x1 for box in outer) <= figure.bbox.width
    assert outer[0].x1 < outer[1].x0, "panels do not overlap"


def test_one_epoch_is_no_curve(tmp_path):
    history = tiny_run(tmp_path, epochs=1).read(layout.HISTORY)
    assert learning_curves(history, None) is None
    two = tiny_run(tmp_path, epochs=1, phases=2).read(layout.HISTORY)
    assert "phase 2" in text_of(learning_curves(two, None))


def test_predictions_that_are_not_finite_are_left_out():
    target = np.array([1, 2, np.nan, 4, 5], "float32")
    predicted = np.array([1.5, 2.5, 3, np.inf, 5.5], "float32")
    assert "errors: mean 0.5, standard deviation 0" in text_of(predictions_figure(target, predicted))
    assert predictions_figure(target[2:4], predicted[2:4]) is None


def test_many_predictions_are_thinned():
    values = np.arange(10 * MAXIMAL_POINTS, dtype="float64")
    few, many = (predictions_figure(part, part + 1) for part in (values[::10], values))
    assert len(many) < 1.5 * len(few)


def test_predictions_are_those_of_the_archive(tmp_path):
    run = tiny_run(tmp_path, tested=True)
    results = read_records(run)["results"]
    (output,) = results.test.scores
    with np.load(run.path_of(layout.PREDICTIONS)) as arrays:
        shape = arrays[results.test.predictions[0].output].shape
    assert len(shape) == 1 or shape[1] > 1, "a classifier with a column per class"
    assert target_and_prediction(run, results, output) is None
    assert target_and_prediction(run, results, "no such output") is None


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.95, "0.9500"), (1.0, "1.0000"), (-0.0824123, "-0.0824"), (0.0, "0"), (0.00351234, "0.003512"),
     (53.216, "53.22"), (float("nan"), "nan"), (9.99999, "10.0000"), (12, "12")],
)  # fmt: skip
def test_scores_have_digits_that_stand_below_each_other(value, text):
    assert format_score(value) == text
