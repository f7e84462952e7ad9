"""Phantoms of lesions: truth, visible and hidden factors, and parameters out of range."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import label as connected_components

from nonredundant.datasets import (
    make_lesions,
)
from nonredundant.radiomics import quiet


def hand_crafted(image, mask, spacing, bin_width=0.5):
    import SimpleITK as sitk
    from radiomics import featureextractor

    flat = image.ndim == 2
    extractor = featureextractor.RadiomicsFeatureExtractor(binWidth=bin_width, force2D=flat)
    if flat:
        extractor.disableAllFeatures()
        for name in ("shape2D", "firstorder", "glcm", "gldm", "glrlm", "glszm", "ngtdm"):
            extractor.enableFeatureClassByName(name)
    pair = [sitk.GetImageFromArray(np.ascontiguousarray(array)) for array in (image, mask)]
    for each in pair:
        each.SetSpacing(spacing)
    with quiet():
        found = extractor.execute(*pair)
    return pd.Series({k: float(v) for k, v in found.items() if not k.startswith("diagnostics")})


class TestMakeLesions:
    def test_shapes_types_and_truth(self):
        X, y, truth = make_lesions(12, random_state=0)
        assert X.columns.tolist() == ["image", "mask", "spacing"]
        assert X.index[0] == "case000"
        assert list(X.index) == list(truth.index)
        for case in X.itertuples():
            assert case.image.dtype == np.float32
            assert case.mask.dtype == np.uint8
            assert case.image.shape == case.mask.shape == (32, 32, 32)
            assert set(np.unique(case.mask)) == {0, 1}
            assert case.spacing == (2.0, 2.0, 2.0)
        assert set(y) <= {0, 1}
        direction = truth[["direction_z", "direction_y", "direction_x"]].to_numpy()
        np.testing.assert_allclose(np.linalg.norm(direction, axis=1), 1.0)
        np.testing.assert_array_equal(truth["hidden"], truth["direction_x"])

    @pytest.mark.parametrize("n_dim", [2, 3])
    def test_no_lesion_touches_the_border(self, n_dim):
        X, _, _ = make_lesions(60, n_dim=n_dim, random_state=1)
        for mask in X["mask"]:
            for axis in range(n_dim):
                assert not mask.take([0, -1], axis=axis).any()

    def test_volume_follows_the_radius(self):
        X, _, truth = make_lesions(20, random_state=0)
        volume = np.array([mask.sum() for mask in X["mask"]]) * 8.0
        np.testing.assert_allclose(volume, 4 / 3 * np.pi * truth["radius"] ** 3, rtol=0.03)

    def test_hot_spot_lies_in_its_direction(self):
        X, _, truth = make_lesions(30, image_noise=0.0, random_state=2)
        grid = np.stack(np.meshgrid(*[np.arange(32)] * 3, indexing="ij"))
        cosines = []
        for (_, case), (_, true) in zip(X.iterrows(), truth.iterrows(), strict=True):
            inside = case["mask"] > 0
            step = (grid * case["image"] * inside).sum((1, 2, 3)) / case["image"][inside].sum()
            step = step - grid[:, inside].mean(1)
            direction = true[["direction_z", "direction_y", "direction_x"]].to_numpy(float)
            cosines.append(step @ direction / np.linalg.norm(step))
        assert np.median(cosines) > 0.95

    def test_a_seed_gives_the_same_phantoms_and_a_case_does_not_depend_on_the_number(self):
        X, y, truth = make_lesions(5, random_state=3)
        again, y_again, truth_again = make_lesions(3, random_state=3)
        np.testing.assert_array_equal(y[:3], y_again)
        pd.testing.assert_frame_equal(truth.iloc[:3], truth_again)
        for i in range(3):
            np.testing.assert_array_equal(X["image"].iloc[i], again["image"].iloc[i])
        other, _, _ = make_lesions(1, random_state=4)
        assert not np.array_equal(other["image"].iloc[0], X["image"].iloc[0])

    @pytest.mark.parametrize("n_dim", [2, 3])
    def test_features_do_not_change_under_the_flip_that_turns_the_hidden_factor_round(self, n_dim):
        X, _, _ = make_lesions(2, n_dim=n_dim, random_state=5)
        for case in X.itertuples():
            plain = hand_crafted(case.image, case.mask, case.spacing)
            turned = hand_crafted(case.image[..., ::-1], case.mask[..., ::-1], case.spacing)
            assert len(plain) == (107 if n_dim == 3 else 102)
            np.testing.assert_allclose(turned, plain, rtol=1e-9, atol=1e-12)

    @pytest.mark.slow
    def test_hidden_factor_is_what_hand_crafted_features_miss(self):
        from sklearn.linear_model import LogisticRegression, RidgeCV
        from sklearn.metrics import roc_auc_score
        from sklearn.model_selection import cross_val_score
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        X, y, truth = make_lesions(900, random_state=10)
        h = np.array([hand_crafted(c.image, c.mask, c.spacing) for c in X.itertuples()])
        ridge = make_pipeline(StandardScaler(), RidgeCV(np.logspace(0, 5, 11)))
        assert cross_val_score(ridge, h, truth["hidden"]).mean() < 0.01
        assert cross_val_score(ridge, h, truth["visible"]).mean() > 0.95
        auc = {}
        for name, features in {"HCR": h, "both": np.column_stack([h, truth["hidden"]])}.items():
            model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
            model.fit(features[:400], y[:400])
            auc[name] = roc_auc_score(y[400:], model.decision_function(features[400:]))
        assert 0.70 < auc["HCR"] < 0.80
        assert 0.91 < auc["both"] < 0.96

    def test_phantom_and_mirror_image_have_the_same_law(self):
        # Any feature of the phantom must be as likely with `hidden` as with `-hidden`. These are
        # not flip-invariant one by one, so they would show a lesion that leans to one side.
        X, _, truth = make_lesions(600, random_state=6)
        line = np.arange(32) - 15.5
        odd = []
        for image, mask in zip(X["image"], X["mask"], strict=True):
            outside = mask == 0
            odd.append(
                [
                    (mask.sum((0, 1)) * line).sum() / mask.sum(),
                    (np.where(outside, image - 1.0, 0.0).sum((0, 1)) * np.sign(line)).sum(),
                    float(mask[:, :16, :16].sum()) - float(mask[:, :16, 16:].sum()),
                ]
            )
        z = np.mean(odd, axis=0) / np.std(odd, axis=0) * np.sqrt(len(odd))
        assert np.abs(z).max() < 3.5
        shape = truth[["radius", "elongation", "uptake", "heterogeneity", "visible"]]
        correlation = [np.corrcoef(truth["hidden"], shape[name])[0, 1] for name in shape]
        assert np.abs(correlation).max() < 3.5 / np.sqrt(600)

    @pytest.mark.parametrize(("n_dim", "variance"), [(2, 1 / 2), (3, 1 / 3)])
    def test_hidden_is_a_component_of_a_uniform_direction(self, n_dim, variance):
        options = {"radius": (4.0, 5.0), "spacing": 2.0, "n_dim": n_dim, "random_state": 7}
        _, _, truth = make_lesions(1500, **options)
        assert truth["hidden"].mean() == pytest.approx(0, abs=0.05)
        assert truth["hidden"].var() == pytest.approx(variance, abs=0.02)

    def test_label_is_drawn_with_the_stated_probability(self):
        options = {"radius": (4.0, 5.0), "random_state": 8}
        _, y, truth = make_lesions(1500, visible_effect=1.5, hidden_effect=-1.0, **options)
        logit = 1.5 * truth["visible"] - np.sqrt(3) * truth["hidden"]
        np.testing.assert_allclose(truth["probability"], 1 / (1 + np.exp(-logit)))
        p = truth["probability"].to_numpy()
        z = (y - p) / np.sqrt(p * (1 - p))
        assert abs(z.mean()) * np.sqrt(1500) < 3.5
        assert truth.attrs["shares"]["visible"] == pytest.approx(1.5**2 / (1.5**2 + 1))

    def test_without_effects_the_label_is_a_coin(self):
        _, _, truth = make_lesions(5, visible_effect=0, hidden_effect=0, random_state=0)
        assert (truth["probability"] == 0.5).all()
        assert truth.attrs["shares"]["hidden"] == 0.0

    def test_hidden_effect_leaves_the_images_alone(self):
        X, _, _ = make_lesions(2, random_state=9)
        control, _, _ = make_lesions(2, hidden_effect=0.0, random_state=9)
        for a, b in zip(X["image"], control["image"], strict=True):
            np.testing.assert_array_equal(a, b)

    def test_noise_and_blur_are_what_they_say(self):
        X, _, _ = make_lesions(4, blur=0.0, image_noise=0.2, random_state=0)
        outside = np.concatenate([im[m == 0] for im, m in zip(X["image"], X["mask"], strict=True)])
        assert outside.mean() == pytest.approx(1.0, abs=0.005)
        assert outside.std() == pytest.approx(0.2, rel=0.02)
        sharp, _, _ = make_lesions(1, blur=0.0, image_noise=0.0, random_state=0)
        soft, _, _ = make_lesions(1, blur=8.0, image_noise=0.0, random_state=0)
        assert (sharp["image"].iloc[0][sharp["mask"].iloc[0] == 0] == 1.0).all()
        total = [each["image"].iloc[0].astype(float).sum() for each in (sharp, soft)]
        assert total[1] == pytest.approx(total[0], rel=0.01)
        assert soft["image"].iloc[0].max() < sharp["image"].iloc[0].max()


@pytest.fixture(scope="module")
def several():
    effects = {"worst_effect": 1.0, "relational_effect": 1.0, "clinical_effect": 1.0}
    return make_lesions(80, n_lesions=(1, 12), random_state=0, **effects)


class TestSeveralLesions:
    def test_lesions_are_the_components_of_the_mask(self, several):
        X, _, truth = several
        lesions = truth.attrs["lesions"]
        for name, mask in X["mask"].items():
            found, n = connected_components(mask, np.ones((3, 3, 3)))
            assert n == truth.loc[name, "n_lesions"]
            sizes = np.sort(np.bincount(found.ravel())[1:])
            own = lesions[lesions["sample"] == name]
            np.testing.assert_array_equal(sizes, np.sort(own["voxels"]))
            for lesion in own.itertuples():
                centre = np.array([lesion.centre_z, lesion.centre_y, lesion.centre_x]) / 2.0
                assert mask[tuple(np.round(centre).astype(int))] == 1

    def test_truth_of_the_sample_follows_from_its_lesions(self, several):
        _, _, truth = several
        lesions = truth.attrs["lesions"]
        for name, own in lesions.groupby("sample"):
            true = truth.loc[name]
            worst = own[own["is_worst"]]
            assert len(worst) == 1
            assert true["worst"] == own["visible"].max() == worst["visible"].item()
            assert true["hidden"] == worst["hidden"].item()
            assert true["visible"] == pytest.approx(own["visible"].mean())
            hottest = own.nlargest(2, "uptake")[["centre_z", "centre_y", "centre_x"]].to_numpy()
            if len(own) == 1:
                assert np.isnan(true["relational"])
            else:
                distance = np.linalg.norm(hottest[0] - hottest[1])
                assert true["relational"] == pytest.approx(distance)

    def test_worst_lesion_is_the_hottest_and_stands_out(self, several):
        X, _, truth = several
        lesions = truth.attrs["lesions"]
        hits = []
        for name, own in lesions.groupby("sample"):
            case = X.loc[name]
            found, n = connected_components(case["mask"], np.ones((3, 3, 3)))
            measured = [case["image"][found == k].mean() for k in range(1, n + 1)]
            centre = own.loc[own["is_worst"], ["centre_z", "centre_y", "centre_x"]].to_numpy()[0]
            hits.append(found[tuple(np.round(centre / 2).astype(int))] == 1 + np.argmax(measured))
            assert own.loc[own["uptake"].idxmax(), "is_worst"]
        assert np.mean(hits) > 0.75

    def test_clinical_columns_come_when_asked_for(self, several):
        X, _, truth = several
        np.testing.assert_array_equal(X["age"], truth["age"])
        assert "weight" in X
        control, _, _ = make_lesions(1, clinical_effect=0.0, random_state=0)
        assert "age" in control
        assert sum(truth.attrs["shares"].values()) == pytest.approx(1.0)

    def test_factors_are_standardised_over_the_population(self):
        # With one effect of 1 the logit is the standardised factor itself.
        options = {
            "n_lesions": (2, 6), "n_dim": 2, "spacing": 4.0, "radius": (6.0, 7.0), "field": 250.0,
            "visible_effect": 0.0, "hidden_effect": 0.0, "image_noise": 0.0, "random_state": 1,
        }  # fmt: skip
        for name in ("visible", "hidden", "worst", "relational", "clinical"):
            _, _, truth = make_lesions(400, **options | {f"{name}_effect": 1.0})
            logit = np.log(truth["probability"] / (1 - truth["probability"]))
            assert logit.mean() == pytest.approx(0.0, abs=0.2), name
            assert logit.std() == pytest.approx(1.0, abs=0.15), name

    def test_lesions_that_cannot_fit_are_refused(self):
        with pytest.raises(ValueError, match=r"do not fit .* enlarge `field`"):
            make_lesions(1, n_lesions=30, field=60.0, random_state=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_samples": 0}, "n_samples must be a whole number of at least 1"),
        ({"n_samples": 2.5}, "n_samples must be a whole number"),
        ({"n_dim": 4}, "n_dim must be 2 or 3, got 4"),
        ({"n_lesions": (3, 2)}, "low <= high"),
        ({"n_lesions": 0}, "n_lesions must be a whole number of at least 1"),
        ({"hidden_effect": float("nan")}, "hidden_effect must be a finite number"),
        ({"visible_effect": "big"}, "visible_effect must be a finite number"),
        ({"relational_effect": 1.0}, "needs samples with at least two lesions"),
        ({"radius": (1.0, 5.0)}, r"at least 1.5 voxels \(3 mm\)"),
        ({"radius": (15.0, 12.0)}, "radius must be a range"),
        ({"max_elongation": 0.5}, "max_elongation must be a finite number of at least 1"),
        ({"image_noise": -1.0}, "image_noise must be a finite number of at least 0"),
        ({"blur": float("inf")}, "blur must be a finite number"),
        ({"field": 40.0}, "field must be at least 64 mm"),
        ({"field": -1.0}, "field must be at least 64 mm"),
    ],
)
def test_bad_parameters_of_make_lesions_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        make_lesions(**{"n_samples": 2, "random_state": 0} | options)


def test_a_second_image_leaves_the_first_as_it_is():
    one, _, _ = make_lesions(5, random_state=0)
    two, _, truth = make_lesions(5, images=2, random_state=0)
    assert two.columns.tolist() == ["image_pet", "image_ct", "mask", "spacing"]
    for name, other in (("image", "image_pet"), ("mask", "mask")):
        for a, b in zip(one[name], two[other], strict=True):
            np.testing.assert_array_equal(a, b)
    assert truth.attrs["shares"]["second"] == pytest.approx(1 / 3)
    # Along x the brighter half of the lesion is that of the hot spot, in the CT alone.
    inside = [ct * mask for ct, mask in zip(two["image_ct"], two["mask"], strict=True)]
    tilt = [(np.indices(v.shape)[2] * v).sum() / v.sum() - v.shape[2] / 2 for v in inside]
    assert np.corrcoef(tilt, truth["second"])[0, 1] > 0.5


@pytest.mark.parametrize("options", [{"images": 3}, {"second_effect": 1.0}], ids=["3", "alone"])
def test_wrong_numbers_of_images_are_refused(options):
    with pytest.raises(ValueError, match="images"):
        make_lesions(2, **options)
