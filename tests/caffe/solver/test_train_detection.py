"""A small MobileNet-SSD learns to find rectangles."""

from support import box_records, small_ssd

from caffe.proto.read import read_solver
from caffe.solver import SOLVERS


def test_a_small_ssd_learns(tmp_path, capfd):
    box_records.write(tmp_path / "train", 160, seed=1)
    box_records.write(tmp_path / "test", 40, seed=2)
    param = read_solver(str(small_ssd.solver(tmp_path, 120))).param
    solver = SOLVERS[param.type].from_param(param)
    before = float(solver.test()["eval"][0])
    solver.step(120)
    after = float(solver.test()["eval"][0])
    assert before < 0.2 and after > 0.7, (before, after)
    assert "Test net output #0: eval = " in capfd.readouterr().err
