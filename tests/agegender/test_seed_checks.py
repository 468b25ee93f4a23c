"""The facts that re-creations of the seeds must reproduce; those told by real files need them beside the checkout."""

import collections

import numpy as np
import pytest
from shared import SHARED, needs_shared

from agegender import faces, labels, oversample
from agegender.datasets import adience, imdb_wiki, utkface
from agegender.datasets.sample import Sample
from agegender.evaluate import confusion, metrics
from agegender.labels import AGE_ADIENCE, AGE_TRINGN, MALE_FIRST, gender_of
from caffe.transform import Transform

PREDICTED_BY_TRUE = np.array([  # paper: rows are predictions, columns the truth
    [.699, .147, .028, .006, .005, .008, .007, .009], [.256, .573, .166, .023, .010, .011, .010, .005],
    [.027, .223, .552, .150, .091, .068, .055, .061], [.003, .019, .081, .239, .106, .055, .049, .028],
    [.006, .029, .138, .510, .613, .461, .260, .108], [.004, .007, .023, .058, .149, .293, .339, .268],
    [.002, .001, .004, .007, .017, .055, .146, .165], [.001, .001, .008, .007, .009, .050, .134, .357],
])  # fmt: skip
AGE_MATRIX = np.array([
    [178, 2, 7, 2, 0, 0, 0, 0, 2], [4, 2, 9, 3, 1, 0, 0, 0, 0], [1, 2, 214, 44, 2, 2, 2, 2, 0],
    [2, 2, 50, 37, 8, 5, 1, 2, 1], [0, 1, 6, 10, 8, 2, 1, 0, 0], [0, 0, 1, 4, 3, 3, 5, 1, 0],
    [2, 0, 3, 2, 0, 3, 3, 3, 0], [0, 0, 1, 0, 0, 4, 8, 4, 3], [1, 0, 0, 2, 0, 0, 2, 6, 8],
])  # fmt: skip


@pytest.fixture(scope="module")
def rows():
    return adience.read_folds(SHARED / "data" / "adience" / "folds")


@needs_shared
def test_1_fold_files(rows):
    found = adience.report(rows)
    assert found == adience.Report(19487, 117, 0, 168, 2284, [], [])
    assert [sum(row.fold == k for row in rows) for k in range(5)] == [4496, 3745, 3953, 3459, 3834]
    once = adience.unique(rows)
    assert [sum(row.fold == k for row in once) for k in range(5)] == [4484, 3730, 3894, 3446, 3816]
    ages = collections.Counter(row.age for row in rows)
    assert [ages[name] for name in AGE_ADIENCE.names] == [2519, 2163, 2132, 1655, 4950, 2300, 830, 875]
    assert (ages["None"], ages["35"], ages["(25, 23)"], ages["(8, 23)"]) == (753, 294, 72, 1)
    assert collections.Counter(row.gender for row in rows) == {"f": 9411, "m": 8192, "u": 1100, "": 784}


@needs_shared
@pytest.mark.parametrize("task", ["age", "gender"])
def test_2_published_lists_follow_from_the_fold_files(rows, task):
    from agegender.datasets.lists import class_counts, read_list

    folder = SHARED / "data" / "adience" / "published_test_fold_0"
    lists = {part: read_list(folder / ("%s_%s.txt" % (task, part))) for part in ("train", "val", "test", "train_subset")}
    for lines in lists.values():
        assert adience.disagreements(lines, rows, task) == []
    pool = [row for row in rows if row.fold and adience.CLASS[task](row) is not None]
    assert len(lists["train"]) + len(lists["val"]) + 1 == len(pool)
    ours = adience.make_lists(rows, 0, task, compat=True)
    assert collections.Counter(lists["test"]) == collections.Counter(ours.test)
    assert len(ours.train) + len(ours.val) in (len(pool), len(pool) - 1)
    assert 11 <= len({path for path, _ in lists["train"]} & {path for path, _ in lists["val"]}) <= 24
    if task == "age":
        assert class_counts(ours.test, 8) == [960, 495, 213, 155, 1580, 555, 219, 139]
        merged = sum(adience.age_class(row, "meant") is not None for row in rows)
        assert merged - sum(adience.age_class(row) is not None for row in rows) == 72


@needs_shared
def test_3_the_released_mean_is_read_and_written(tmp_path):
    from caffe.snapshot import read_blob, write_blob

    (path,) = (SHARED / "data" / "levi").rglob("mean.binaryproto")
    mean = np.asarray(read_blob(path)).reshape(3, 256, 256)
    np.testing.assert_allclose(mean.mean(axis=(1, 2)), [78.42634, 87.76892, 114.89584], atol=2e-5)
    write_blob(tmp_path / "m.binaryproto", mean[None], legacy_shape=True)
    assert (tmp_path / "m.binaryproto").stat().st_size == 786446 == path.stat().st_size


@needs_shared
def test_4_published_prototxt_files():
    from caffe.net import Net
    from caffe.proto import caffe_pb2
    from caffe.proto.read import read_net, read_solver

    counts = collections.Counter()
    for folder in ("levi", "tringn"):
        for path in sorted((SHARED / "data" / folder).rglob("*.prototxt")):
            if "solver" in path.name:
                assert read_solver(path).param.max_iter == 50000
                continue
            param = read_net(path).param
            (fc6,) = (layer for layer in param.layer if layer.name == "fc6")
            assert fc6.inner_product_param.num_output == 512
            if "deploy" in path.name:
                net = Net.from_param(param, caffe_pb2.TEST)
                counts[sum(blob.count for blobs in net.params.values() for blob in blobs)] += 1
                assert tuple(net.params["fc6"][0].shape) == (512, 18816)
    assert counts == {11415048: 1, 11411970: 2, 11415561: 1}


def test_5_ten_crops():
    picture = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    views = Transform(size=256, crop=227).oversample(picture)
    for index, (y, x) in enumerate([(0, 0), (0, 29), (29, 0), (29, 29), (14, 14)]):
        window = picture[y : y + 227, x : x + 227].transpose(2, 0, 1)
        assert (views[index] == window).all() and (views[index + 5] == window[:, :, ::-1]).all()


def test_6_printing():
    text = confusion.format_matrix(AGE_MATRIX, list(AGE_TRINGN.names))
    assert "457/687 corrects\n\nConfusion matrix:\nActual\\Predict\t0-9\t10-19\t" in text
    assert "\t80-120\t\n\t\t" + "-" * 47 + "\n0-9\t\t178\t2\t7\t2\t0\t0\t0\t0\t2\n" in text and "66.5%" in text
    text = confusion.format_matrix(np.array([[267, 53], [49, 318]]), list(MALE_FIRST.names))
    assert "85.2%, 585/687 corrects" in text
    assert round(100 * metrics.one_off_accuracy(AGE_MATRIX), 1) == 90.1


def test_7_oversampling_plan():
    import random

    def after(counts, planner, *more):
        samples = [Sample("%d_%d.jpg" % (k, i), 10 * k) for k, count in enumerate(counts) for i in range(count)]
        copies = planner(samples, lambda sample: sample.age_class, 9, *more)
        classes = collections.Counter(copy.source.age_class for copy in copies)
        return [count + classes[k] for k, count in enumerate(counts)]

    published = [734, 78, 1066, 423, 126, 95, 76, 67, 82]
    rng = random.Random(1)
    assert after(published, oversample.plan_as_original, rng) == [1066, 1066, 1066, 1065, 1066, 1065, 1066, 1065, 1066]
    assert after(published, oversample.plan) == [1066] * 9
    assert after([5, 1, 0, 0, 0, 0, 0, 0, 2], oversample.plan) == [5, 5, 0, 0, 0, 0, 0, 0, 5]


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("39_1_20170116174525125.jpg", False),
        ("61_1_20170109142408075.jpg", False),
        ("61_1_20170109150557335.jpg", False),
        ("24_0_1_20170116220224657", False),
        ("14_0_0_2017011022340900.jpg", True),
        ("28_1_2_201701161846515488.jpg", True),
        ("38_0_1_201701162330572788.jpg", True),
        ("55_0_0_20170116232725357jpg", False),
    ],
)
def test_8_irregular_names_are_told(name, taken):
    found = utkface.read_names([name])
    assert (len(found.samples), len(found.odd), len(found.skipped)) == ((1, 1, 0) if taken else (0, 0, 1))


@needs_shared
def test_8_the_real_subset():
    import tarfile

    with tarfile.open(SHARED / "data" / "UTKFace_AsianOnly.tar.gz") as archive:
        names = [name for name in archive.getnames() if name.endswith(".jpg")]
    assert len(utkface.read_names(names, utkface.races("asian")).samples) == 3434


@needs_shared
def test_9_wiki_metadata():
    kept = imdb_wiki.statistics(imdb_wiki.read_csv(SHARED / "data" / "wiki.csv"))
    assert (kept["count"], kept["male"], kept["female"]) == (38138, 28601, 9537)
    assert kept["decades"] == [41, 2079, 13401, 8119, 5427, 4138, 2708, 1447, 616, 162]
    assert round(kept["mean age"], 2) == 38.13


def test_9_unsigned_years_do_not_wrap():
    assert imdb_wiki.age(np.uint16(1950), np.int64(724000)) == 1950 - 1982  # born in April


def test_10_wide_residual_net():
    from agegender.zoo import build, wideresnet
    from caffe.net import Net
    from caffe.proto import caffe_pb2

    assert build.count_parameters(Net.from_param(wideresnet.body(), caffe_pb2.TEST)) == 24463856


@needs_shared
def test_11_zealerwws_rules(rows):
    ages = [adience.age_class(row, "zealerww") for row in rows]
    genders = [adience.gender_class(row, "zealerww") for row in rows]
    assert np.bincount([age for age in ages if age is not None]).tolist() == [
        2540, 2163, 2296, 1900, 5444, 2446, 931, 870,
    ]  # fmt: skip
    assert np.bincount([int(gender) for gender in genders if gender is not None]).tolist() == [8191, 9339]
    assert sum(age is not None and gender is not None for age, gender in zip(ages, genders)) == 17490
    assert sum(row.gender == "" or row.age in ("(25, 23)", "(8, 23)") for row in rows) == 857
    once = adience.unique(rows)
    assert sum(adience.age_class(row, "zealerww") is not None for row in once) == 18478
    assert sum(adience.gender_class(row, "zealerww") is not None for row in once) == 17419


def test_12_the_papers_matrix():
    sizes = np.array([2488, 2140, 2124, 1642, 4932, 2293, 830, 872])  # faces a class in the folds, each once
    matrix = PREDICTED_BY_TRUE.T * sizes[:, None]
    assert round(100 * metrics.accuracy(matrix), 1) == 50.0
    assert round(100 * metrics.one_off_accuracy(matrix), 1) == 84.7


@needs_shared
def test_12_table_1(rows):
    table = [[0] * 8, [0] * 8]
    for row in rows:
        age, gender = adience.age_class(row, "paper"), adience.gender_class(row)
        if age is not None and gender is not None:
            table[gender][age] += 1
    assert table == [[745, 928, 934, 734, 2308, 1294, 392, 442], [682, 1234, 1360, 919, 2589, 1056, 433, 427]]


def test_13_onnx_post_processing():
    p = np.zeros(101)
    p[[31, 32]] = 0.6, 0.4
    told = labels.AGE_YEARS.decode(p).text
    assert faces.line(0, labels.FEMALE_FIRST.decode([0.8, 0.2]).text, told) == "Box 0 --> Female, 31.4"
    assert faces.squared((10, 20, 31, 60)) == (1, 20, 40, 60)  # 21 x 40: 9 a side, a pixel short
    assert faces.squared((10, 20, 50, 40)) == (10, 10, 50, 50)
    assert faces.clamped((-5, 10, 40, 120), (100, 30, 3)) == (0, 10, 30, 100)
    picture = np.arange(60, dtype=np.uint8).reshape(6, 10)
    assert faces.cut(picture, (-2, -1, 3, 2)).tolist() == [[0, 0, 0, 1, 2], [0, 0, 0, 1, 2], [10, 10, 10, 11, 12]]
    assert faces.cut(picture, (0, 0, 10, 6), 0.5).shape == (12, 20)
    with pytest.raises(labels.AgeGenderError, match="outside"):
        faces.cut(picture, (10, 0, 12, 3))


def test_14_gender_by_source():
    male_first = ("adience", "utkface", "tringn", "levi", "rude-carnie", "zealerww", "onnx-googlenet")
    assert {gender_of(source, 0).name for source in male_first} == {"MALE"}
    assert {gender_of(source, 0).name for source in ("imdb-wiki", "yu4u-imdb", "onnx-vgg16")} == {"FEMALE"}
