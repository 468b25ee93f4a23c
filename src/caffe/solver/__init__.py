"""The solver classes under Caffe's names."""

from __future__ import annotations

import os

from caffe.proto.read import read_solver
from caffe.solver.solver import Solver


class SGDSolver(Solver):
    """Stochastic gradient descent with momentum."""

    type = "SGD"


class NesterovSolver(Solver):
    """Nesterov's accelerated gradient."""

    type = "Nesterov"


class AdaGradSolver(Solver):
    """AdaGrad (Duchi et al. 2011)."""

    type = "AdaGrad"


class RMSPropSolver(Solver):
    """RMSProp (Tieleman & Hinton 2012)."""

    type = "RMSProp"


class AdaDeltaSolver(Solver):
    """AdaDelta (Zeiler 2012)."""

    type = "AdaDelta"


class AdamSolver(Solver):
    """Adam (Kingma & Ba 2015)."""

    type = "Adam"


SOLVERS = {
    cls.type: cls for cls in (SGDSolver, NesterovSolver, AdaGradSolver, RMSPropSolver, AdaDeltaSolver, AdamSolver)
}


def get_solver(solver_file: str | os.PathLike[str]) -> Solver:
    """Create the solver of the type given in the solver prototxt (default SGD).

    Parameters
    ----------
    solver_file : str
        Path of the solver prototxt.

    Returns
    -------
    Solver

    Raises
    ------
    CaffeError
        If the file or a net that it names is invalid.
    """
    param = read_solver(str(solver_file)).param
    return SOLVERS.get(param.type, Solver).from_param(param)
