"""A search over five candidates, as a script: `search.py STORE [growth]`; run by tests, which kill it."""

import sys

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from archiver.ensemble import StageTwo, hill_climb


class OneColumn(ClassifierMixin, BaseEstimator):
    """Of the script itself: only pickled by value can it reach another process."""

    def __init__(self, column: int = 0) -> None:
        self.column = column

    def fit(self, x, y):
        self.inner_ = GaussianNB().fit(x[:, [self.column]], y)
        self.classes_ = self.inner_.classes_
        return self

    def predict_proba(self, x):
        return self.inner_.predict_proba(x[:, [self.column]])


def data():
    """Flowers by name; a third for each split, with noise so that nothing is perfect."""
    x, y = load_iris(return_X_y=True)
    x = x + np.random.default_rng(0).normal(scale=0.8, size=x.shape)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    x_train, x_rest, y_train, y_rest = train_test_split(x, names, test_size=0.6, random_state=0, stratify=names)
    x_selection, x_test, y_selection, y_test = train_test_split(
        x_rest, y_rest, test_size=0.4, random_state=0, stratify=y_rest
    )
    return {"train": (x_train, y_train), "selection": (x_selection, y_selection), "test": (x_test, y_test)}


def candidates():
    return {
        "column1": OneColumn(1),
        "forest5": RandomForestClassifier(5, max_depth=2, random_state=0),
        "column0": OneColumn(0),
        "logistic": make_pipeline(StandardScaler(), LogisticRegression(C=0.1)),
        "svc": make_pipeline(StandardScaler(), SVC(random_state=0)),
    }


def main() -> None:
    store, *rest = sys.argv[1:]
    settings = StageTwo(epochs=6, growth=rest[0] if rest else "transfer")
    hill_climb(store, name="iris", candidates=candidates(), **data(), stage_two=settings, n_jobs=2, seed=3)


if __name__ == "__main__":
    main()
