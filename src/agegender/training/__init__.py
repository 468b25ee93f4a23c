"""Train a recipe (agegender.recipes) on a directory of faces: LMDBs, prototxt, training, evaluation, report."""
