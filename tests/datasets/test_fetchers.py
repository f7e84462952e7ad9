"""Fetchers: downloads are checked, missing files are named, shared copies are complete."""

from __future__ import annotations

import functools
import hashlib
import http.server
import threading
from pathlib import Path

import numpy as np
import pytest

from nonredundant.datasets import fetch_adrenal, fetch_pneumonia, fetch_sts, fetchers


@pytest.fixture
def served(tmp_path, monkeypatch):
    """Serve a folder over HTTP and let nothing be found locally."""
    monkeypatch.delenv("NONREDUNDANT_DATA", raising=False)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format, *args):
            return

    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


def small_medmnist(path: Path) -> str:
    rng = np.random.default_rng(0)
    parts = {"train": 4, "val": 2, "test": 3}
    np.savez(
        path,
        **{f"{part}_images": rng.integers(0, 2, (n, 5, 5, 5)) * 255 for part, n in parts.items()},
        **{f"{part}_labels": np.arange(n)[:, None] % 2 for part, n in parts.items()},
    )
    return hashlib.md5(path.read_bytes()).hexdigest()


class TestDownloads:
    def test_medmnist_is_downloaded_once_and_checked(self, served, tmp_path, monkeypatch):
        folder, url = served
        digest = small_medmnist(folder / "adrenalmnist3d_64.npz")
        monkeypatch.setattr(fetchers, "MEDMNIST", url)
        monkeypatch.setitem(fetchers.MEDMNIST_MD5, "adrenalmnist3d_64.npz", digest)
        home = tmp_path / "home"
        bunch = fetch_adrenal(data_home=home)
        assert bunch.split.value_counts().to_dict() == {"train": 4, "test": 3, "val": 2}
        (folder / "adrenalmnist3d_64.npz").unlink()
        again = fetch_adrenal(data_home=home, split="test", download_if_missing=False)
        assert again.data.index.tolist() == ["test0000", "test0001", "test0002"]
        np.testing.assert_array_equal(again.data["mask"].iloc[0], again.data["image"].iloc[0] > 0)

    def test_wrong_content_is_refused(self, served, tmp_path, monkeypatch):
        folder, url = served
        small_medmnist(folder / "pneumoniamnist.npz")
        monkeypatch.setattr(fetchers, "MEDMNIST", url)
        with pytest.raises(ValueError, match="28209eda62fecd6e6a2d98b1501bb15f"):
            fetch_pneumonia(data_home=tmp_path / "home")

    def test_missing_data_say_what_to_do(self, served, tmp_path, monkeypatch):
        _, url = served
        monkeypatch.setattr(fetchers, "MEDMNIST", url)
        with pytest.raises(OSError, match="NONREDUNDANT_DATA"):
            fetch_pneumonia(data_home=tmp_path / "home")
        for fetch in (fetch_pneumonia, fetch_sts):
            with pytest.raises(OSError, match="download_if_missing=True"):
                fetch(data_home=tmp_path / "home", download_if_missing=False)

    def test_sts_is_downloaded_and_checked(self, served, tmp_path, monkeypatch):
        from scipy.io import savemat

        folder, url = served
        checksums = {}
        for patient in ("STS_001", "STS_002"):
            (folder / patient).mkdir()
            for kind in ("image", "mask"):
                content = f"{patient} {kind}".encode()
                (folder / patient / f"PET_{kind}.nii.gz").write_bytes(content)
                digest = hashlib.sha256(content).hexdigest()
                checksums[f"{patient}_PET_{kind}.nii.gz"] = digest
        savemat(folder / "outcome.mat", {"outcome": np.array([[0.0], [1.0]])})
        monkeypatch.setattr(fetchers, "_sts_checksums", lambda: checksums)
        monkeypatch.setattr(fetchers, "STS_IMAGES", url)
        monkeypatch.setattr(fetchers, "STS_OUTCOME", f"{url}outcome.mat")
        with pytest.raises(ValueError, match="does not contain the outcome of the 51 patients"):
            fetch_sts(data_home=tmp_path / "other")
        monkeypatch.setattr(fetchers, "STS_OUTCOME_SHA256", hashlib.sha256(b"01").hexdigest())
        data, target = fetch_sts(data_home=tmp_path / "home", return_X_y=True)
        assert data.index.tolist() == ["STS_001", "STS_002"]
        assert Path(data.loc["STS_002", "mask"]).read_bytes() == b"STS_002 mask"
        assert target.tolist() == [0, 1]


def test_sts_names_a_missing_file(tmp_path):
    folder = tmp_path / "sts"
    folder.mkdir()
    (folder / "cohort.csv").write_text("patient_id,image,mask,lung_metastasis\nA,a.nii,b.nii,0\n")
    with pytest.raises(
        FileNotFoundError, match=r"1 of 1 files of column 'image'.*first A: .*a\.nii"
    ):
        fetch_sts(data_home=tmp_path)


def test_unknown_split_is_refused():
    with pytest.raises(ValueError, match="split must be one of"):
        fetch_adrenal(split="dev")


class TestSharedCopies:
    @pytest.fixture(autouse=True)
    def _needs_data(self):
        import os

        if not os.environ.get("NONREDUNDANT_DATA"):
            pytest.skip("NONREDUNDANT_DATA is not set")

    def test_sts(self):
        sts = fetch_sts()
        assert sts.data.shape == (51, 6)
        assert sts.target.sum() == 19
        assert sts.clinical_names == ["age_years", "sex", "weight_kg", "height_m"]
        digest = hashlib.sha256("".join(map(str, sts.target)).encode()).hexdigest()
        assert digest == fetchers.STS_OUTCOME_SHA256
        for name, wanted in fetchers._sts_checksums().items():
            found = hashlib.sha256((Path(sts.folder) / "images" / name).read_bytes()).hexdigest()
            assert found == wanted

    def test_adrenal(self):
        data, target = fetch_adrenal(split="val", return_X_y=True)
        assert len(data) == len(target) == 98
        assert data["image"].iloc[0].shape == (64, 64, 64)
        assert set(np.unique(data["mask"].iloc[0])) == {0, 1}

    def test_pneumonia(self):
        bunch = fetch_pneumonia()
        assert bunch.split.value_counts()["val"] == 524
        assert bunch.data["image"].iloc[0].shape == (28, 28)
        with np.load(Path(str(bunch.DESCR.split("Read from ")[1].split(",")[0]))) as archive:
            if "test_images" in archive:
                pytest.skip("this copy holds the test split")
        with pytest.raises(ValueError, match="no split 'test'; it contains train, val"):
            fetch_pneumonia(split="test")
