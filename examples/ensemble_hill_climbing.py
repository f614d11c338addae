"""Search an ensemble over scikit-learn's handwritten digits, with the memory of every training.

python examples/ensemble_hill_climbing.py --root runs

Killed and started again, it goes on where it was. `archiver dashboard runs` shows it, while it goes on too.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesClassifier, GradientBoostingClassifier, RandomForestClassifier
from sklearn.kernel_approximation import Nystroem, RBFSampler
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from archiver.ensemble import StageTwo, hill_climb

NOISE = 3.0
"""Standard deviation of what is added to the pixels, of 0 to 16: without it nearly every candidate is perfect."""


def load(seed: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Noisy images of 64 pixels and labels 0 to 9: half to train on, 30 % to choose by, 20 % to test."""
    x, y = load_digits(return_X_y=True)
    x = (x + np.random.default_rng(seed).normal(scale=NOISE, size=x.shape)).astype("float32")
    x_train, x_rest, y_train, y_rest = train_test_split(x, y, test_size=0.5, random_state=seed, stratify=y)
    x_selection, x_test, y_selection, y_test = train_test_split(
        x_rest, y_rest, test_size=0.4, random_state=seed, stratify=y_rest
    )
    return {"train": (x_train, y_train), "selection": (x_selection, y_selection), "test": (x_test, y_test)}


def candidates(seed: int) -> dict[str, Any]:
    """Weak ones first, so that there is something to climb; several of a type, so that their memory can be learnt."""
    scaled = StandardScaler()
    found: dict[str, Any] = {
        "tree-4": DecisionTreeClassifier(max_depth=4, random_state=seed),
        "bayes": GaussianNB(),
        "tree-8": DecisionTreeClassifier(max_depth=8, random_state=seed),
        "bayes-pca10": make_pipeline(PCA(10, random_state=seed), GaussianNB()),
    }
    for count in (10, 50, 200, 800):
        found[f"forest-{count}"] = RandomForestClassifier(count, random_state=seed)
        found[f"extra-{count}"] = ExtraTreesClassifier(count, random_state=seed + 1)
    for neighbours in (1, 5, 15):
        found[f"neighbours-{neighbours}"] = make_pipeline(scaled, KNeighborsClassifier(neighbours))
    for strength in (0.01, 1.0):
        found[f"logistic-{strength}"] = make_pipeline(scaled, LogisticRegression(C=strength, max_iter=1000))
    found["logistic-squares"] = make_pipeline(
        scaled, PolynomialFeatures(2, include_bias=False), LogisticRegression(C=0.001, max_iter=300)
    )
    for components in (200, 2000):
        found[f"kernel-{components}"] = make_pipeline(
            scaled,
            RBFSampler(gamma=0.005, n_components=components, random_state=seed),
            LogisticRegression(max_iter=300),
        )
    found["nystroem-500"] = make_pipeline(
        scaled, Nystroem(gamma=0.005, n_components=500, random_state=seed), LogisticRegression(max_iter=300)
    )
    for strength in (0.3, 3.0):
        found[f"svc-{strength}"] = make_pipeline(scaled, SVC(C=strength, random_state=seed))
    for units in (32, 256):
        network = MLPClassifier((units,), max_iter=300, early_stopping=True, random_state=seed)
        found[f"perceptron-{units}"] = make_pipeline(scaled, network)
    found["boosting-30"] = GradientBoostingClassifier(n_estimators=30, max_depth=2, random_state=seed)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Search an ensemble over noisy handwritten digits.")
    parser.add_argument("--root", default="runs", help="the folder of the runs")
    parser.add_argument("--candidates", type=int, help="only the first ones")
    parser.add_argument("--jobs", type=int, default=2, help="how many are trained at once")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    ensemble = hill_climb(
        arguments.root,
        name="digits",
        candidates=list(candidates(arguments.seed).items())[: arguments.candidates],
        **load(arguments.seed),
        stage_two=StageTwo(epochs=40),
        n_jobs=arguments.jobs,
        seed=arguments.seed,
        tolerance=0.0001,
    )
    x_test, y_test = load(arguments.seed)["test"]
    print("members, and how often each was chosen:", ensemble.members)
    print(f"test accuracy: {np.mean(ensemble.predict_proba(x_test).argmax(axis=1) == y_test):.3f}")
    print(f"journal: {ensemble.path}")


if __name__ == "__main__":
    main()
