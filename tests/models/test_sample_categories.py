"""Latents and components can be made independent of the centre of a sample."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nonredundant import LesionTable, NonRedundantCVAE, NonRedundantEmbedding
from nonredundant.evaluation import FeatureSetClassifier
from nonredundant.metrics import centre_coding
from nonredundant.models.sample_categories import category_columns, category_shares
from nonredundant.utils.validation import InvalidParameterError

CENTRES = np.array(["a", "b", "c"])


def table(n=120, *, seed=0, shift=2.0):
    """Return lesions whose patches and embedding differ between centres; their features do not."""
    rng = np.random.default_rng(seed)
    index = [f"p{i}" for i in range(n)]
    number = np.arange(n) % 3
    hcr = pd.DataFrame(rng.normal(size=(n, 3)), index=index).add_prefix("f")
    patches = rng.normal(size=(n, 1, 8, 8)) + shift * (number - 1)[:, None, None, None]
    values = rng.normal(size=(n, 6)) + shift * np.outer(number - 1, [1, -1, 0, 1, 0, 1])
    return LesionTable(
        hcr,
        patches=patches.astype(np.float32),
        masks=np.ones((n, 1, 8, 8), dtype=bool),
        samples=pd.DataFrame({"centre": CENTRES[number]}, index=index),
        embeddings={"M": pd.DataFrame(values, index=index)},
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda of: NonRedundantCVAE(
            dlr_size=4, independent_of=of, output="dlr", max_epochs=20, random_state=0
        ),
        lambda of: NonRedundantEmbedding(4, independent_of=of, output="dlr"),
    ],
    ids=["network", "embedding"],
)
def test_what_is_independent_of_the_centre_does_not_tell_it(make):
    train, new = table(seed=0), table(seed=1)
    centre = new.samples["centre"]
    codes = {
        of: centre_coding(make(of).fit(train).transform(new), centre)
        for of in (("hcr",), ("hcr", "centre"))
    }
    assert codes["hcr",].p_value < 0.01
    # New samples differ a little from those that the regressions were fitted to.
    above = {of: code.estimate - code.null_mean for of, code in codes.items()}
    assert above["hcr", "centre"] < 0.25 * above["hcr",]


def test_categories_of_no_training_row_have_the_mean():
    samples = pd.DataFrame({"centre": ["a", "a", "b", None]})
    shares = category_shares(samples, ["centre"])
    assert shares == {"centre": pytest.approx({"a": 2 / 3, "b": 1 / 3})}
    columns = category_columns(samples, shares)
    assert columns[:3].mean(axis=0) == pytest.approx([0, 0])
    assert columns[:3].std(axis=0) == pytest.approx([1, 1])
    assert (columns[3] == 0).all()
    with pytest.warns(UserWarning, match=r"centre \['z'\] are of no category"):
        other = category_columns(pd.DataFrame({"centre": ["z", "a"]}), shares)
    assert (other[0] == 0).all()
    assert (other[1] == columns[0]).all()
    assert category_shares(samples[:2], ["centre"]) == {"centre": {}}
    assert category_columns(samples, {"centre": {}}).shape == (4, 0)


@pytest.mark.parametrize("make", [NonRedundantCVAE, NonRedundantEmbedding])
def test_names_that_are_nothing_are_refused(make):
    with pytest.raises(InvalidParameterError, match="'center'.*did you mean 'centre'"):
        make(independent_of=("hcr", "center")).fit(table())
    with pytest.raises(InvalidParameterError, match="none of the 9 columns is clinical"):
        make(independent_of=("clinical", "centre")).fit(table())
    with pytest.raises(InvalidParameterError, match="must name 'hcr'"):
        make(independent_of=()).fit(table())


def test_new_samples_need_the_column():
    model = NonRedundantEmbedding(2, independent_of=("centre",)).fit(table())
    with pytest.raises(ValueError, match="independent of the column 'centre' of the samples"):
        model.transform(table().replace(samples=None))
    with pytest.raises(ValueError, match=r"depends on \['centre'\] of the samples"):
        model.inverse_transform(model.transform(table()))


def with_centre(centre):
    """Return the lesions with other names of their centres."""
    lesions = table(len(centre))
    return lesions.replace(samples=pd.DataFrame({"centre": centre}, index=lesions.index))


def test_centres_are_numbers_or_text():
    number = np.arange(60) % 3
    gaps = np.where(np.arange(60) < 2, np.nan, number)
    # A column of whole numbers with gaps is one of floats.
    for given in (number, gaps):
        model = NonRedundantEmbedding(2, independent_of=("centre",)).fit(with_centre(given))
        assert list(model.category_shares_["centre"]) == ["0", "1", "2"]
        expected = model.transform(with_centre(number))
        decimals = number.astype(float)
        for written in (decimals, decimals.astype(str), number.astype(str), pd.Categorical(number)):
            assert (model.transform(with_centre(written)) == expected).all()


@pytest.mark.parametrize("make", [NonRedundantCVAE, NonRedundantEmbedding])
@pytest.mark.parametrize("values", [np.arange(60), np.linspace(40, 80, 60)], ids=["ids", "ages"])
def test_ids_and_numbers_are_no_categories(make, values):
    with pytest.raises(InvalidParameterError, match="'centre'.*60 categories in 60 samples"):
        make(independent_of=("hcr", "centre")).fit(with_centre(values))


def test_what_an_embedding_has_not_is_refused():
    values = np.random.default_rng(0).normal(size=(40, 6))
    alone = LesionTable(pd.DataFrame(index=range(40)), embeddings={"M": pd.DataFrame(values)})
    with pytest.raises(InvalidParameterError, match="names 'hcr', but the table has no such"):
        NonRedundantEmbedding(independent_of=("hcr",)).fit(alone)
    with pytest.raises(InvalidParameterError, match=r"'centre'\); the columns are \[\]"):
        NonRedundantEmbedding(independent_of=("hcr", "centre")).fit(values)


@pytest.mark.parametrize("name", ["M-MI", "DLR-residual"])
def test_a_comparison_makes_residuals_independent_of_the_centre(name):
    train, new = table(90, seed=0), table(90, seed=1)
    y = np.random.default_rng(0).permutation(np.repeat([0, 1], 45))
    codes = {}
    for of in ("auto", ("hcr", "centre")):
        model = FeatureSetClassifier(
            name,
            cvae=NonRedundantCVAE(4, independent_of=of, max_epochs=5),
            embedding=NonRedundantEmbedding(4, independent_of=of),
            cv=None,
            random_state=0,
        ).fit(train, y)
        found = centre_coding(pd.DataFrame(model.predictor_.inputs(new)), new.samples["centre"])
        codes[of] = found.estimate - found.null_mean
    assert codes["auto"] > 0.5
    assert codes["hcr", "centre"] < 0.4 * codes["auto"]
    with pytest.raises(ValueError, match="independent of the column 'centre' of the samples"):
        model.predict(new.replace(samples=None))


def test_new_centres_are_told_and_the_outcome_is_no_centre():
    lesions = table(60)
    y = np.random.default_rng(0).permutation(np.repeat([0, 1], 30))
    model = FeatureSetClassifier(
        "HCR+M-MI",
        embedding=NonRedundantEmbedding(2, independent_of=("hcr", "centre")),
        cv=None,
        random_state=0,
    )
    new = with_centre(["a", "b", "z"])
    found = model.fit(lesions, y).outside(new)
    assert found.str.contains("centre: category 'z' was not seen in training").tolist() == [
        False,
        False,
        True,
    ]
    with pytest.warns(UserWarning, match=r"centre \['z'\] are of no category"):
        model.predict(new)
    known = lesions.replace(samples=pd.DataFrame({"centre": y}, index=lesions.index))
    with pytest.raises(ValueError, match="'centre'.*told the answer"):
        model.fit(known, y)
