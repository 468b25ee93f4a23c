"""Published facts of the original projects and data sets, fourteen groups of checks.

Files that are not part of the project are replaced by recorded facts (tests/agegender/facts) or by files of the same
form; the checks also run on the files themselves where they are next to the checkout.
"""

import collections
import random

import cv2
import numpy as np
import pytest
from support import levi_v1_prototxt, recorded_facts
from support.external_data import SHARED, needs_shared

from agegender.datasets import adience, adience_lists, imdb_wiki, oversample, split, utkface
from agegender.datasets.lists import class_counts, count_block
from agegender.datasets.sample import Sample
from agegender.evaluate import confusion, metrics
from agegender.inference import labels
from agegender.inference.faces import face_crop, face_settings
from agegender.inference.labels import AGE_ADIENCE, AGE_TRINGN, MALE_FIRST, gender_of
from caffe.device.transform import Transform

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
def rows(tmp_path_factory):
    """Rows of fold files that were written from the recorded facts."""
    return adience.read_folds(recorded_facts.adience_folds(tmp_path_factory.mktemp("folds")))


@pytest.fixture(scope="module")
def published(rows, tmp_path_factory):
    """Directory of the published lists of test fold 0."""
    return recorded_facts.published_lists(rows, tmp_path_factory.mktemp("test_fold_is_0"))


# -- 1 fold files


def test_1_fold_files(rows):
    assert adience.report(rows) == adience.Report(19487, 117, 0, 168, 2284, [], [])
    assert [sum(row.fold == k for row in rows) for k in range(5)] == [4496, 3745, 3953, 3459, 3834]
    unique = adience.unique(rows)
    assert [sum(row.fold == k for row in unique) for k in range(5)] == [4484, 3730, 3894, 3446, 3816]
    ages = collections.Counter(row.age for row in rows)
    assert [ages[name] for name in AGE_ADIENCE.names] == [2519, 2163, 2132, 1655, 4950, 2300, 830, 875]
    others = {"None": 753, "35": 294, "13": 169, "22": 149, "34": 105, "23": 96, "45": 88, "55": 77, "(27, 32)": 77,
              "(25, 23)": 72, "36": 57, "(38, 42)": 50, "57": 24, "3": 18, "29": 12, "(38, 48)": 6, "58": 5, "2": 3,
              "32": 3, "56": 2, "(8, 23)": 1, "42": 1, "46": 1}  # fmt: skip
    assert {age: count for age, count in ages.items() if age not in AGE_ADIENCE.names} == others
    assert collections.Counter(row.gender for row in rows) == {"f": 9411, "m": 8192, "u": 1100, "": 784}
    assert collections.Counter(row.gender for row in unique) == {"f": 9368, "m": 8124, "u": 1099, "": 779}
    assert [len({row.user for row in rows if row.fold == k}) for k in range(5)] == [34, 34, 34, 33, 33]


@needs_shared
def test_1_recorded_facts_equal_the_files(rows):
    real = adience.read_folds(SHARED / "data" / "adience" / "folds")
    assert [(row.fold, row.face, row.age, row.gender) for row in rows] == [
        (r.fold, r.face, r.age, r.gender) for r in real
    ]
    for field in ("user", "key"):
        recorded, original = ([getattr(row, field) for row in source] for source in (rows, real))
        assert len(set(zip(recorded, original))) == len(set(recorded)) == len(set(original))  # a one-to-one renaming


# -- 2 lists

PUBLISHED_SIZES = {  # age and gender: test, and train + val + 1
    0: ((4316, 11823 + 1284), (4007, 12256 + 1339)), 1: ((3101, 12894 + 1428), (3624, 12574 + 1404)),
    2: ((3339, 12655 + 1429), (3191, 12986 + 1425)), 3: ((2975, 12991 + 1457), (3318, 12854 + 1430)),
    4: ((3693, 12371 + 1359), (3463, 12717 + 1422)),
}  # fmt: skip


@pytest.mark.parametrize("fold", range(5))
def test_2_published_sizes_follow_from_the_fold_files(rows, fold):
    for task, (test, rest) in zip(("age", "gender"), PUBLISHED_SIZES[fold]):
        lists = adience.make_lists(rows, fold, task, compat=True)
        pool = sum(row.fold != fold and adience.CLASS[task](row) is not None for row in rows)
        assert len(lists.test) == test and rest + 1 == pool
        assert len(lists.train) + len(lists.val) in (pool, pool - 1)  # the lost row may have had no label


def test_2_majority_baselines(rows):
    for task, percents in (("age", (36.6, 20.5, 25.2, 30.2, 28.7)), ("gender", (51.1, 55.7, 55.8, 54.6, 53.2))):
        for fold, percent in enumerate(percents):
            counts = class_counts(adience.make_lists(rows, fold, task, compat=True).test, 8)
            assert round(100 * max(counts) / sum(counts), 1) == percent


@pytest.mark.parametrize("task", ["age", "gender"])
def test_2_published_lists_are_reproduced_label_for_label(rows, published, task):
    lists, expected = adience_lists.read(published, task), adience.make_lists(rows, 0, task, compat=True)
    assert collections.Counter(lists.test) == collections.Counter(expected.test)
    for lines in lists:
        assert lines and adience.disagreements(lines, rows, task) == []
    assert len({path for path, _ in lists.train} & {path for path, _ in lists.val}) == {"age": 19, "gender": 21}[task]
    assert set(lists.train_subset) <= set(lists.train)
    if task == "age":
        assert class_counts(expected.test, 8) == [960, 495, 213, 155, 1580, 555, 219, 139]


def test_2_the_intended_merge_adds_72_rows(rows):
    strict, meant = ([adience.age_class(row, policy) for row in rows] for policy in ("published", "meant"))
    changed = [row for row, old, new in zip(rows, strict, meant) if old != new]
    assert len(changed) == 72 and {(row.fold, row.age, row.gender) for row in changed} == {(0, "(25, 23)", "f")}
    assert len({row.user for row in changed}) == 1


def test_2_the_check_reports_errors_and_leaks(rows, published):
    messages, errors = adience_lists.check(published, rows, 0)
    assert (
        errors == 0
        and "age: 13107 lines for training and validation, the other folds have 13108 labelled faces" in messages
    )
    messages, errors = adience_lists.check(published, rows, 1)  # another fold than the lists'
    assert errors == 0 and "age: 4316 lines for testing, fold 1 has 3101 labelled faces" in messages
    _, errors = adience_lists.check(published, rows, 0, "paper")
    assert errors == 0  # the paper's merges add rows and do not change any
    (published / "age_val.txt").rename(published / "kept.txt")
    lines = (published / "kept.txt").read_text().splitlines()
    leak = (published / "age_test.txt").read_text().splitlines()[0]
    (published / "age_val.txt").write_text("\n".join([leak, lines[0][:-1] + "9", *lines[1:]]) + "\n")
    messages, errors = adience_lists.check(published, rows, 0)
    (published / "kept.txt").replace(published / "age_val.txt")
    assert errors == 2 and "age_val: 1285 lines, 1 wrong" in messages
    assert "age: 1 users in both test and training" in messages


@needs_shared
@pytest.mark.parametrize("task", ["age", "gender"])
def test_2_recorded_lists_equal_the_published_ones(rows, published, task):
    real = adience.read_folds(SHARED / "data" / "adience" / "folds")
    name = {row.path(): original.path() for row, original in zip(rows, real)}
    originals = adience_lists.read(SHARED / "data" / "adience" / "published_test_fold_0", task)
    for recorded, original in zip(adience_lists.read(published, task), originals):
        assert collections.Counter((name[path], label) for path, label in recorded) == collections.Counter(original)


# -- 3 the released mean


def test_3_a_mean_is_written_in_caffes_format(tmp_path):
    from caffe.data.mean import read_mean, write_mean
    from caffe.proto import caffe_pb2

    mean = np.random.default_rng(0).uniform(49, 186, (3, 256, 256)).astype(np.float32)
    mean += (np.array([78.42634, 87.76892, 114.89584]) - mean.mean((1, 2)))[:, None, None].astype(np.float32)
    write_mean(tmp_path / "m.binaryproto", mean)
    assert (tmp_path / "m.binaryproto").stat().st_size == 786446 == 14 + 4 * 3 * 256 * 256
    blob = caffe_pb2.BlobProto.FromString((tmp_path / "m.binaryproto").read_bytes())
    assert (blob.num, blob.channels, blob.height, blob.width) == (1, 3, 256, 256) and not blob.HasField("shape")
    np.testing.assert_array_equal(np.array(blob.data, np.float32).reshape(mean.shape), mean)
    np.testing.assert_array_equal(read_mean(tmp_path / "m.binaryproto"), mean)
    np.testing.assert_allclose(mean.mean((1, 2)), [78.42634, 87.76892, 114.89584], atol=2e-4)


@needs_shared
def test_3_the_released_mean(tmp_path):
    from agegender import zoo
    from caffe.utils import download
    from caffe.weights.snapshot import read_blob, write_blob

    (path,) = (SHARED / "data" / "levi").rglob("mean.binaryproto")
    mean = np.asarray(read_blob(path)).reshape(3, 256, 256)
    np.testing.assert_allclose(mean.mean(axis=(1, 2)), [78.42634, 87.76892, 114.89584], atol=2e-5)
    np.testing.assert_allclose(mean.min((1, 2)), [49.17, 51.80, 74.49], atol=0.005)
    np.testing.assert_allclose(mean[:, 128, 128], [76.8, 88.7, 140.1], atol=0.05)
    net = zoo.nets()["levi-age"]
    np.testing.assert_allclose(net.transform().mean, mean.mean((1, 2)), rtol=1e-6)
    assert download.is_good(path, net.mean.size, net.mean.sha256)
    write_blob(tmp_path / "m.binaryproto", mean[None], legacy_shape=True)
    assert (tmp_path / "m.binaryproto").read_bytes() == path.read_bytes()


# -- 4 prototxt files


def parameters(folder):
    """{parameters: number of deploy files} of published prototxt files, all of which must parse."""
    from caffe.net.net import Net
    from caffe.proto import caffe_pb2
    from caffe.proto.read import read_net, read_solver

    counts = collections.Counter()
    for path in sorted(folder.rglob("*.prototxt")):
        if "solver" in path.name:
            solver = read_solver(path).param
            assert (solver.base_lr, solver.stepsize, solver.max_iter) == (np.float32(0.001), 10000, 50000)
            continue
        param = read_net(path).param
        assert not param.layers and {"conv1", "fc6", "fc8"} <= {layer.name for layer in param.layer}
        fc8 = next(layer for layer in param.layer if layer.name == "fc8")
        if "deploy" not in path.name:
            assert [(spec.lr_mult, spec.decay_mult) for spec in fc8.param] == [(10, 1), (20, 0)]
        else:
            net = Net.from_param(param, caffe_pb2.TEST)
            counts[sum(blob.count for blobs in net.params.values() for blob in blobs)] += 1
            assert tuple(net.params["fc6"][0].shape) == (512, 18816)
    return counts


def test_4_files_in_v1_syntax(tmp_path):
    for name, files, count, expected in (
        ("levi", levi_v1_prototxt.files(), 22, {11415048: 1, 11411970: 1}),
        ("tringn", levi_v1_prototxt.nine_classes(), 6, {11415561: 1, 11411970: 1}),
    ):
        (tmp_path / name).mkdir()
        for file, text in files.items():
            (tmp_path / name / file).write_text(text)
        assert len(files) == count and parameters(tmp_path / name) == expected


def test_4_files_of_this_project_are_the_same_nets(tmp_path):
    """The V1 text upgraded equals prototxt/levi, layer for layer, apart from paths."""
    from support.checkout import ROOT

    from caffe.proto import text
    from caffe.proto.read import read_net, read_net_text

    old = levi_v1_prototxt.files()["age_train_val_test_fold_is_0.prototxt"]
    upgraded, current = (
        read_net_text(old, "v1").param,
        read_net(ROOT / "prototxt" / "levi" / "AgeNet_train_val.prototxt").param,
    )
    for param in (upgraded, current):
        for layer in param.layer:
            layer.data_param.ClearField("source")
            layer.transform_param.ClearField("mean_file")
    assert [text.format(layer) for layer in upgraded.layer] == [text.format(layer) for layer in current.layer]


@needs_shared
def test_4_published_files():
    assert parameters(SHARED / "data" / "levi") == {11415048: 1, 11411970: 1}
    assert parameters(SHARED / "data" / "tringn") == {11415561: 1, 11411970: 1}


# -- 5 to 7


def test_5_ten_crops():
    image = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    views = Transform(size=256, crop=227).oversample(image)
    assert len(views) == 10
    for index, (y, x) in enumerate([(0, 0), (0, 29), (29, 0), (29, 29), (14, 14)]):
        window = image[y : y + 227, x : x + 227].transpose(2, 0, 1)
        assert (views[index] == window).all() and (views[index + 5] == window[:, :, ::-1]).all()


def test_6_printed_matrices_byte_for_byte():
    names = AGE_TRINGN.names
    expected = "Accuracy: 66.5%, 457/687 corrects\n\nConfusion matrix:\nActual\\Predict\t" + "\t".join(names) + "\t\n"
    expected += "\t\t-----------------------------------------------\n"
    for name, row in zip(names, AGE_MATRIX):
        expected += name + "\t\t" + "\t".join(map(str, row)) + "\n"
    assert confusion.format_matrix(AGE_MATRIX, list(names)) == expected
    expected = "Accuracy: 85.2%, 585/687 corrects\n\nConfusion matrix:\nActual\\Predict\tMale\tFemale\t\n"
    expected += "\t\t-----------------------------------------------\nMale\t\t267\t53\nFemale\t\t49\t318\n"
    assert confusion.format_matrix(np.array([[267, 53], [49, 318]]), list(MALE_FIRST.names)) == expected
    assert round(100 * metrics.one_off_accuracy(AGE_MATRIX), 1) == 90.1
    recalls = [row["recall"] for row in metrics.per_class(AGE_MATRIX)]
    assert [round(value, 3) for value in recalls] == [.932, .105, .796, .343, .286, .176, .188, .200, .421]  # fmt: skip


def test_6_printed_counts_byte_for_byte():
    before = {"age": [734, 78, 1066, 423, 126, 95, 76, 67, 82], "gender": [1260, 1487]}
    after = {"age": [1066, 1066, 1066, 1065, 1066, 1065, 1066, 1065, 1066], "gender": [5690, 3901]}
    block = (
        "Number of image per age class:\n0-9\t10-19\t20-29\t30-39\t40-49\t50-59\t60-69\t70-79\t80-120\n"
        "--------------------------------------------------------------\n%s\n"
        "Number of image per gender class:\nMale\tFemale\n--------------\n%s\n"
    )
    first = block % ("734\t78\t1066\t423\t126\t95\t76\t67\t82", "1260\t1487")
    second = block % ("1066\t1066\t1066\t1065\t1066\t1065\t1066\t1065\t1066", "5690\t3901")
    assert count_block(before, after) == first + "\nAFTER OVERSAMPLING:\n" + second


def after_oversampling(counts, planner, *more):
    samples = [Sample(f"{k}_{i}.jpg", 10 * k) for k, count in enumerate(counts) for i in range(count)]
    copies = planner(samples, lambda sample: sample.age_class, 9, *more)
    classes = collections.Counter(copy.source.age_class for copy in copies)
    return [count + classes[k] for k, count in enumerate(counts)]


def test_7_oversampling_plan():
    published = [734, 78, 1066, 423, 126, 95, 76, 67, 82]
    as_original = after_oversampling(published, oversample.plan_as_original, random.Random(1))
    assert as_original == [1066, 1066, 1066, 1065, 1066, 1065, 1066, 1065, 1066]
    assert after_oversampling(published, oversample.plan) == [1066] * 9


def test_7_one_image_and_none_do_not_crash():
    few = [5, 1, 0, 2, 0, 0, 0, 0, 0]
    assert after_oversampling(few, oversample.plan) == [5, 5, 0, 5, 0, 0, 0, 0, 0]
    assert after_oversampling(few, oversample.plan_as_original, random.Random(1)) == [5, 5, 0, 4, 0, 0, 0, 0, 0]


# -- 8 UTKFace


@pytest.mark.parametrize(
    ("name", "accepted"),
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
def test_8_irregular_names_are_reported(name, accepted):
    folder = utkface.read_names([name])
    assert (len(folder.samples), len(folder.irregular), len(folder.skipped)) == ((1, 1, 0) if accepted else (0, 0, 1))


def test_8_race_2_and_the_split_of_its_sorted_names():
    folder = utkface.read_names(
        [*recorded_facts.utkface_names(), "20_0_1_20170116220224657.jpg.chip.jpg"], utkface.parse_races("asian")
    )
    assert len(folder.samples) == 3434 and len(folder.irregular) == 1 and not folder.skipped
    ages = collections.Counter(sample.age_class for sample in folder.samples)
    assert [ages[index] for index in range(9)] == [929, 96, 1329, 527, 157, 115, 95, 84, 102]
    train, test, _ = split.as_original(folder.samples)
    ages, held_out = (collections.Counter(sample.age_class for sample in part) for part in (train, test))
    assert [ages[index] for index in range(9)] == [745, 74, 1065, 420, 124, 86, 74, 71, 88]
    assert [held_out[index] for index in range(9)] == [184, 22, 264, 107, 33, 29, 21, 13, 14]
    assert collections.Counter(int(sample.gender) for sample in train) == {0: 1273, 1: 1474}


@needs_shared
def test_8_recorded_names_equal_the_archive():
    import tarfile

    with tarfile.open(SHARED / "data" / "UTKFace_AsianOnly.tar.gz") as archive:
        names = sorted(name.rpartition("/")[2] for name in archive.getnames() if name.endswith(".jpg"))
    assert names == recorded_facts.utkface_names()


# -- 9 IMDB-WIKI


def wiki_statistics(path):
    statistics = imdb_wiki.statistics(imdb_wiki.read_csv(path))
    assert (statistics["count"], statistics["male"], statistics["female"]) == (38138, 28601, 9537)
    assert statistics["decades"] == [41, 2079, 13401, 8119, 5427, 4138, 2708, 1447, 616, 162]
    assert round(statistics["mean age"], 2) == 38.13


def test_9_wiki_metadata(tmp_path):
    wiki_statistics(recorded_facts.wiki_csv(tmp_path / "wiki.csv"))


@needs_shared
def test_9_the_real_wiki_metadata(tmp_path):
    wiki_statistics(SHARED / "data" / "wiki.csv")
    recorded, original = (
        imdb_wiki.read_csv(path) for path in (recorded_facts.wiki_csv(tmp_path / "w.csv"), SHARED / "data" / "wiki.csv")
    )
    assert collections.Counter(face[1:] for face in recorded) == collections.Counter(face[1:] for face in original)


def test_9_unsigned_years_do_not_wrap():
    assert imdb_wiki.age(np.uint16(1950), np.int64(724000)) == 1950 - 1982  # born in April


def test_9_a_row_with_several_errors_is_dropped_by_the_first_filter():
    born, years_120 = 723000, np.uint16(2100)
    rows = [  # face score, second score, year, gender
        (-np.inf, 2.0, years_120, np.nan), (2.0, 1.5, years_120, np.nan), (2.0, np.nan, years_120, np.nan),
        (2.0, np.nan, np.uint16(2000), np.nan), (1.0, -1.0, np.uint16(2000), 1.0),
    ]  # fmt: skip
    scores, seconds, years, genders = map(np.array, zip(*rows))
    table = {"dob": np.full(5, born), "photo_taken": years, "full_path": list("abcde"), "gender": genders,
             "face_score": scores, "second_face_score": seconds}  # fmt: skip
    kept = imdb_wiki.keep(table)
    assert list(kept.dropped.values()) == [1, 1, 1, 1] and [face.path for face in kept.faces] == ["e"]


# -- 10 to 12


def test_10_wide_residual_net():
    from agegender.zoo import assemble, wideresnet
    from caffe.net.net import Net
    from caffe.proto import caffe_pb2

    assert assemble.count_parameters(Net.from_param(wideresnet.body(), caffe_pb2.TEST)) == 24463856


def test_11_zealerwws_rules(rows):
    ages = [adience.age_class(row, "zealerww") for row in rows]
    genders = [adience.gender_class(row, "zealerww") for row in rows]
    assert np.bincount([age for age in ages if age is not None]).tolist() == [
        2540, 2163, 2296, 1900, 5444, 2446, 931, 870,
    ]  # fmt: skip
    assert sum(age is not None for age in ages) == 18590 and sum(gender is not None for gender in genders) == 17530
    assert np.bincount([int(gender) for gender in genders if gender is not None]).tolist() == [8191, 9339]
    assert sum(age is not None and gender is not None for age, gender in zip(ages, genders)) == 17490
    assert sum(row.gender == "" or row.age in ("(25, 23)", "(8, 23)") for row in rows) == 857
    unique = adience.unique(rows)
    assert sum(adience.age_class(row, "zealerww") is not None for row in unique) == 18478
    assert sum(adience.gender_class(row, "zealerww") is not None for row in unique) == 17419


def test_12_the_papers_matrix():
    sizes = np.array([2488, 2140, 2124, 1642, 4932, 2293, 830, 872])  # unique faces per class
    matrix = PREDICTED_BY_TRUE.T * sizes[:, None]
    assert round(100 * metrics.accuracy(matrix), 1) == 50.0
    assert round(100 * metrics.one_off_accuracy(matrix), 1) == 84.7


def test_12_table_1(rows):
    table = [[0] * 8, [0] * 8]
    for row in rows:
        age, gender = adience.age_class(row, "paper"), adience.gender_class(row)
        if age is not None and gender is not None:
            table[gender][age] += 1
    assert table == [[745, 928, 934, 734, 2308, 1294, 392, 442], [682, 1234, 1360, 919, 2589, 1056, 433, 427]]


# -- 13 and 14


def test_13_onnx_post_processing():
    p = np.zeros(101)
    p[[31, 32]] = 0.6, 0.4
    age = labels.AGE_YEARS.decode(p).text
    assert face_crop.line(0, labels.FEMALE_FIRST.decode([0.8, 0.2]).text, age) == "Box 0 --> Female, 31.4"
    assert face_crop.line(3, labels.MALE_FIRST.decode([0.8, 0.2]).text, "(8-12)") == "Box 3 --> Male, (8-12)"
    assert face_crop.squared((10, 20, 31, 60)) == (1, 20, 40, 60)  # 21 x 40: 9 per side, one pixel short
    assert face_crop.squared((10, 20, 50, 40)) == (10, 10, 50, 50)
    assert face_crop.clamped((-5, 10, 40, 120), (100, 30, 3)) == (0, 10, 30, 100)
    image = np.arange(60, dtype=np.uint8).reshape(6, 10)
    assert face_crop.cut(image, (-2, -1, 3, 2)).tolist() == [[0, 0, 0, 1, 2], [0, 0, 0, 1, 2], [10, 10, 10, 11, 12]]
    assert face_crop.cut(image, (0, 0, 10, 6), 0.5).shape == (12, 20)
    with pytest.raises(labels.AgeGenderError, match="outside"):
        face_crop.cut(image, (10, 0, 12, 3))


@pytest.mark.parametrize("name", ["googlenet-age", "vgg16-gender"])
@pytest.mark.parametrize("scripted", [False, True])
def test_13_input_of_the_zoos_nets(name, scripted):
    """A squared box at the border, clamped; channels and means as documented, or as the scripts had them."""
    from agegender import zoo

    net = zoo.nets()[name]
    transform = net.compat(net.transform()) if scripted else face_settings.replace(net.transform(), margin=0.0)
    image = np.random.default_rng(1).integers(0, 256, (90, 120, 3), np.uint8)
    left, top, right, bottom = face_crop.clamped(face_crop.squared((95, 10, 118, 60)), image.shape)
    assert (left, top, right, bottom) == (82, 10, 120, 60)
    cut = cv2.resize(image[top:bottom, left:right], (224, 224)).astype(np.float32)
    planes = cut[:, :, ::-1] if scripted else cut
    mean = (104, 117, 123) if name.startswith("googlenet") else (0, 0, 0)
    np.testing.assert_array_equal(transform.image(image[top:bottom, left:right]), (planes - mean).transpose(2, 0, 1))


def test_14_gender_by_source():
    male_first = ("adience", "utkface", "tringn", "levi", "rude-carnie", "zealerww", "onnx-googlenet")
    assert {gender_of(source, 0).name for source in male_first} == {"MALE"}
    assert {gender_of(source, 0).name for source in ("imdb-wiki", "yu4u-imdb", "onnx-vgg16")} == {"FEMALE"}


def test_14_gender_order_of_every_zoo_net():
    from agegender import zoo

    first = {name: net.labels.names[0] for name, net in zoo.nets().items() if net.task == "gender"}
    female = {name for name, label in first.items() if label == "Female"}
    assert female == {"dlib-gender", "vgg16-gender", "wideresnet-gender", "wideresnet-pooled-gender"}
    assert len(first) == len(female) + sum(label == "Male" for label in first.values())
