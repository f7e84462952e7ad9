"""What untrusted files cannot do: run code, reach other files, take up all memory."""

from __future__ import annotations

import ast
import contextlib
import gzip
import io
import os
import pickle
import resource
import shutil
import struct
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import skops.io
from cases_for_tests import assert_same, cohort, on_disk, quick
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import nonredundant
from nonredundant import LesionTable
from nonredundant.cli.model_files import load_model
from nonredundant.cli.tools import read_cases
from nonredundant.evaluation import FeatureSetClassifier
from nonredundant.extraction.case_table import leaves_folder
from nonredundant.io import ImageFileError
from nonredundant.io.images import content_key, read_image

PACKAGE = Path(nonredundant.__file__).parent
#: Calls that run what a file or a text holds, by module and name.
RUNS_CODE = {
    "pickle": {"load", "loads", "Unpickler"},
    "cloudpickle": {"load", "loads"},
    "dill": {"load", "loads"},
    "marshal": {"load", "loads"},
    "shelve": {"open"},
    "joblib": {"load"},
    "yaml": {"load", "load_all", "full_load", "unsafe_load"},
    "os": {"system", "popen", "execv", "execl", "spawnl", "spawnv"},
    "subprocess": {"run", "call", "Popen", "check_call", "check_output", "getoutput"},
    "builtins": {"eval", "exec", "compile", "__import__"},
}


def _imported(tree):
    """Return the modules and the names of modules that a file imports, by their local name."""
    found = {name: ("builtins", name) for name in RUNS_CODE["builtins"]}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {(a.asname or a.name).split(".")[0]: (a.name, None) for a in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {a.asname or a.name: (node.module, a.name) for a in node.names}
    return found


def _called(call, imported):
    """Return module and name of what is called, as far as imports tell."""
    if isinstance(call.func, ast.Name):
        return imported.get(call.func.id, ("", None))
    if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name):
        return imported.get(call.func.value.id, ("", None))[0], call.func.attr
    return "", None


def dangers(text):
    """List the calls of a source text that can run what a file holds."""
    tree = ast.parse(text)
    imported = _imported(tree)
    found = []
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        module, name = _called(call, imported)
        given = {one.arg: getattr(one.value, "value", None) for one in call.keywords}
        if name in RUNS_CODE.get(module, ()):
            found.append(f"{call.lineno}: {module}.{name}")
        if (module, name) == ("torch", "load") and given.get("weights_only") is not True:
            found.append(f"{call.lineno}: torch.load without weights_only=True")
        if given.get("allow_pickle") or given.get("shell"):
            found.append(f"{call.lineno}: allow_pickle or shell")
    return found


@pytest.mark.parametrize(
    "text",
    [
        "import pickle\npickle.load(f)",
        "from pickle import loads as read\nread(b)",
        "eval('1')",
        "import yaml\nyaml.load(f)",
        "import torch\ntorch.load(f)",
        "import torch\ntorch.load(f, weights_only=False)",
        "import numpy as np\nnp.load(f, allow_pickle=True)",
        "import os\nos.system('ls')",
        "import subprocess as sp\nsp.run('ls', shell=True)",
    ],
)
def test_the_search_finds_what_it_should(text):
    assert dangers(text)


def test_no_module_runs_what_a_file_holds():
    found = {
        str(path.relative_to(PACKAGE)): lines
        for path in PACKAGE.rglob("*.py")
        if (lines := dangers(path.read_text(encoding="utf-8")))
    }
    assert found == {}


@pytest.mark.parametrize(
    ("path", "leaves"),
    [
        ("a.nii", False),
        ("./a/../b.nii", False),
        ("..a/b.nii", False),
        ("../a.nii", True),
        ("a/../../b.nii", True),
        ("..", True),
        ("/data/a.nii", False),
        ("~/a.nii", False),
    ],
)
def test_steps_upwards_decide_whether_a_path_leaves_its_folder(path, leaves):
    assert leaves_folder(path) is leaves


@pytest.mark.parametrize("column", ["image", "mask"])
@pytest.mark.parametrize("on_error", ["raise", "nan"])
def test_relative_paths_that_leave_root_are_refused(tmp_path, column, on_error):
    folder = tmp_path / "images"
    folder.mkdir()
    cases = on_disk(cohort(2), folder)
    for name in cases[column]:
        shutil.copy(folder / name, tmp_path / name)
    moved = cases.copy()
    moved.loc["p1", column] = f"../{cases.loc['p1', column]}"
    extractor = quick(root=folder, on_error=on_error)
    with pytest.raises(ValueError, match=rf"1 paths .* leave root=.*'p1': {column} '\.\./p1_"):
        extractor.fit_transform(moved)
    # Absolute paths and a root above all images are how a user allows them.
    expected = quick(root=folder).fit_transform(cases)
    moved[column] = [str(tmp_path / name) for name in cases[column]]
    assert_same(extractor.fit_transform(moved), expected)
    above = cases.assign(**{one: "images/" + cases[one] for one in ("image", "mask")})
    above[column] = "images/../" + cases[column]
    assert_same(quick(root=tmp_path).fit_transform(above), expected)


def test_the_command_line_reads_no_relative_path_outside_of_its_root(tmp_path):
    (tmp_path / "tables").mkdir()
    on_disk(cohort(2), tmp_path)
    table = tmp_path / "tables" / "cases.csv"
    table.write_text("id,image,mask\na,../p0_image.nii.gz,../p0_mask.nii.gz\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"2 paths leave the folder .*tables: row 1: '\.\./p0_im"):
        read_cases(table)
    with pytest.raises(ValueError, match="set --root to the folder above all images"):
        read_cases(table, root=tmp_path)
    rows = "a,p0_image.nii.gz,p0_mask.nii.gz", f"b,{tmp_path}/p1_image.nii.gz,p1_mask.nii.gz"
    table.write_text("id,image,mask\n" + "\n".join(rows), encoding="utf-8")
    cases = read_cases(table, root=tmp_path)
    assert cases["image"].tolist() == [str(tmp_path / f"p{i}_image.nii.gz") for i in (0, 1)]


@pytest.mark.parametrize("kind", ["device", "pipe"])
def test_devices_and_pipes_are_no_images(tmp_path, kind):
    # They would be read, or waited for, without an end.
    path = "/dev/zero" if kind == "device" else str(tmp_path / "pipe.nii")
    if kind == "pipe":
        os.mkfifo(path)
    with pytest.raises(ImageFileError, match=f"{path} is a device or pipe"):
        content_key(path)
    with pytest.raises(ImageFileError, match=f"{path} is a device or pipe"):
        read_image(path)


def _npz(path, arrays, method=zipfile.ZIP_STORED):
    """Write the members of a saved table."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in arrays.items():
            archive.writestr(name, content)


@pytest.fixture
def members(tmp_path):
    """The members of a saved table."""
    LesionTable.from_arrays(patches=np.ones((2, 1, 8, 8))).save(tmp_path / "good.npz")
    with zipfile.ZipFile(tmp_path / "good.npz") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize("mmap", [False, True])
def test_a_table_that_claims_more_than_its_file_holds_is_refused(tmp_path, members, mmap):
    # The header of NumPy's format has room for a longer shape.
    content = members["patches.npy"]
    start = content.index(b"(2, 1, 8, 8), }")
    lie = b"(2, 1, 800000, 800000), }"
    changed = content[:start] + lie + content[start + len(lie) :]
    assert len(changed) == len(content)
    _npz(tmp_path / "bad.npz", members | {"patches.npy": changed})
    with pytest.raises(ValueError, match=r"bad\.npz is not .*patches\.npy claims the shape"):
        LesionTable.load(tmp_path / "bad.npz", mmap=mmap)


def test_a_compressed_table_is_refused(tmp_path, members):
    _npz(tmp_path / "bomb.npz", members | {"x.npy": bytes(1 << 24)}, zipfile.ZIP_DEFLATED)
    assert (tmp_path / "bomb.npz").stat().st_size < 1 << 20
    with pytest.raises(ValueError, match="compressed, which saved tables are not"):
        LesionTable.load(tmp_path / "bomb.npz")


def test_a_table_with_objects_is_refused(tmp_path, members):
    ran = tmp_path / "ran"

    class Code:
        def __reduce__(self):
            return Path.touch, (ran,)

    file = io.BytesIO()
    np.lib.format.write_array(file, np.array([Code()], dtype=object), allow_pickle=True)
    _npz(tmp_path / "bad.npz", members | {"sample.npy": file.getvalue()})
    with pytest.raises(ValueError, match="is not a saved LesionTable"):
        LesionTable.load(tmp_path / "bad.npz")
    assert not ran.exists()


def test_a_model_that_unpacks_to_more_than_the_memory_is_refused(tmp_path, monkeypatch):
    model = FeatureSetClassifier("HCR", classifier="LR", random_state=0)
    rng = np.random.default_rng(0)
    model.fit(rng.normal(size=(40, 3)), np.repeat([0, 1], 20))
    skops.io.dump(model, tmp_path / "model.skops")
    assert isinstance(load_model(tmp_path / "model.skops"), FeatureSetClassifier)
    monkeypatch.setattr("nonredundant.extraction.memory.memory_limit", lambda: 1000.0)
    with pytest.raises(ValueError, match=r"model\.skops \(.* bytes\) unpacks to"):
        load_model(tmp_path / "model.skops")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A model with a cache, and its file."""
    folder = tmp_path_factory.mktemp("model")
    cases = cohort(8)
    extractor = quick(memory=str(folder / "cache"))
    model = FeatureSetClassifier("HCR", classifier="LR", extractor=extractor, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(cases, np.arange(8) % 2)
    skops.io.dump(model, folder / "model.skops")
    return folder / "model.skops"


def test_the_cache_of_a_model_is_not_read(saved):
    model = load_model(saved)
    assert model.extractor.memory is None
    assert model.extractor_.memory is None


def test_the_cache_of_an_extractor_in_a_pipeline_is_not_read(tmp_path):
    """Fitted parts of a ColumnTransformer are no parameters, so that `set_params` misses them."""
    steps = quick(memory=str(tmp_path / "cache"), clinical=columns_with_cache(tmp_path))
    model = FeatureSetClassifier(
        "HCR", classifier="LR", extractor=make_pipeline(steps), random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(cohort(8).assign(age=np.arange(8.0)), np.arange(8) % 2)
    skops.io.dump(model, tmp_path / "model.skops")
    loaded = load_model(tmp_path / "model.skops")
    extractor = loaded.extractor_[-1]
    assert extractor.memory is None
    assert loaded.steps_[0].transformer_.transformers_[0][1].memory is None


def columns_with_cache(folder):
    scaler = make_pipeline(StandardScaler(), memory=str(folder / "cache"))
    return ColumnTransformer([("age", scaler, ["age"])])


def test_a_large_schema_is_refused_before_it_is_parsed(saved, tmp_path, monkeypatch):
    path = tmp_path / "bomb.skops"
    shutil.copy(saved, path)
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    content["schema.json"] += b" " * (1 << 22)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in content.items():
            archive.writestr(name, text)
    monkeypatch.setattr("nonredundant.extraction.memory.memory_limit", lambda: 2.0**26)
    with pytest.raises(ValueError, match=r"bomb\.skops .* unpacks to"):
        load_model(path)


def test_any_changed_byte_of_a_zip_directory_is_one_error(saved, tmp_path):
    content = saved.read_bytes()
    start = content.rindex(b"PK\x01\x02")
    path = tmp_path / "changed.skops"
    for place in range(start, len(content)):
        changed = bytearray(content)
        changed[place] ^= 0xFF
        path.write_bytes(changed)
        with contextlib.suppress(ValueError):
            load_model(path)


@pytest.mark.parametrize("schema", [b"[]", b"null", b'{"__class__": "Nope"}', b"{", b"[" * 100_000])
def test_a_foreign_schema_is_named_with_a_remedy(saved, tmp_path, schema):
    path = tmp_path / "foreign.skops"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("schema.json", schema)
    with pytest.raises(
        ValueError, match=r"foreign\.skops cannot be read as a model: .*fit it again"
    ):
        load_model(path)


def test_a_model_of_a_class_that_this_version_lacks_is_named(saved, tmp_path):
    path = tmp_path / "later.skops"
    with zipfile.ZipFile(saved) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    content["schema.json"] = content["schema.json"].replace(
        b'"FeatureSetClassifier"', b'"LaterClassifier"'
    )
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in content.items():
            archive.writestr(name, text)
    with pytest.raises(ValueError, match=r"later\.skops .*LaterClassifier.*another version"):
        load_model(path)


def _bomb(path, n_bytes):
    """Write a compressed image whose header is modest and whose content is not."""
    if path.name.endswith(".nii.gz"):
        plain = path.with_name("plain.nii")
        sitk.WriteImage(sitk.Image([8, 8, 8], sitk.sitkInt16), str(plain))
        path.write_bytes(gzip.compress(plain.read_bytes() + bytes(n_bytes), 1))
        return
    text = "NRRD0004\ntype: short\ndimension: 3\nsizes: 8 8 8\nspacings: 1 1 1\nendian: little\n"
    text += "encoding: gzip\n\n"
    path.write_bytes(text.encode() + gzip.compress(bytes(n_bytes), 1))


@pytest.mark.parametrize("name", ["bomb.nii.gz", "bomb.nrrd"])
def test_compressed_images_take_the_memory_that_their_headers_state(tmp_path, name):
    n_bytes = 1 << 28
    _bomb(tmp_path / name, n_bytes)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert read_image(tmp_path / name).GetSize() == (8, 8, 8)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < n_bytes / 4


@pytest.mark.parametrize("name", ["huge.png", "huge.nrrd", "huge.mha"])
def test_headers_that_claim_more_than_the_file_can_hold_are_refused(tmp_path, name):
    path = tmp_path / name
    if name.endswith(".png"):
        sitk.WriteImage(sitk.Image([8, 8], sitk.sitkUInt8), str(path))
        head = struct.pack(">4s2I5B", b"IHDR", 60_000, 60_000, 8, 0, 0, 0, 0)
        content = path.read_bytes()
        path.write_bytes(content[:12] + head + struct.pack(">I", zlib.crc32(head)) + content[33:])
    elif name.endswith(".nrrd"):
        _bomb(path, 1000)
        path.write_bytes(path.read_bytes().replace(b"8 8 8", b"9999 9999 99"))
    else:
        sitk.WriteImage(sitk.Image([8, 8, 8], sitk.sitkInt16), str(path), True)
        path.write_bytes(path.read_bytes().replace(b"DimSize = 8 8 8", b"DimSize = 9999 9999 99"))
    with pytest.raises(ImageFileError, match="which a file of .* bytes cannot hold"):
        read_image(path)


# What SECURITY.md says that such files can do ---------------------------------------------------


class Code:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_model_can_name_a_settings_file_that_is_read(tmp_path):
    path = tmp_path / "settings.yaml"
    path.write_text("setting:\n  binWidth: 0.1\n", encoding="utf-8")
    model = FeatureSetClassifier(
        "HCR", classifier="LR", extractor=quick(settings=str(path), bin_width=None), random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(cohort(8), np.arange(8) % 2)
    skops.io.dump(model, tmp_path / "model.skops")
    loaded = load_model(tmp_path / "model.skops")
    path.write_text("no settings", encoding="utf-8")
    with pytest.raises(ValueError, match="pyradiomics' layout"):
        loaded.predict_proba(cohort(2))


def test_a_cache_can_run_code(tmp_path):
    cases = cohort(2)
    quick(memory=tmp_path / "cache").fit_transform(cases)
    kept = sorted((tmp_path / "cache").rglob("output.pkl"))
    assert kept
    for one in kept:
        one.write_bytes(pickle.dumps(Code(tmp_path / "ran")))
    with contextlib.suppress(Exception):
        quick(memory=tmp_path / "cache").fit_transform(cases)
    assert (tmp_path / "ran").exists()


def test_a_header_and_a_link_can_lead_to_other_files(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    image = sitk.GetImageFromArray(np.arange(512, dtype=np.int16).reshape(8, 8, 8))
    sitk.WriteImage(image, str(tmp_path / "other.mhd"))
    header = (tmp_path / "other.mhd").read_text(encoding="utf-8")
    (folder / "a.mhd").write_text(header.replace("other.raw", "../other.raw"), encoding="utf-8")
    (folder / "b.mha").symlink_to(tmp_path / "c.mha")
    sitk.WriteImage(image, str(tmp_path / "c.mha"))
    for name in ("a.mhd", "b.mha"):
        found = sitk.GetArrayFromImage(read_image(folder / name))
        np.testing.assert_array_equal(found, sitk.GetArrayFromImage(image))
