"""From a recipe (agegender.recipes) and a folder of faces to a judged net: databases, prototxt, training, report."""
