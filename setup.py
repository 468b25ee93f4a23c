"""The one part of the build that pyproject.toml cannot say: prototxt/ ships as the package agegender.prototxt."""

from setuptools import find_namespace_packages, find_packages, setup

PROTOTXT = "agegender.prototxt"

setup(
    packages=[
        *find_packages("src"),
        PROTOTXT,
        *(f"{PROTOTXT}.{name}" for name in find_namespace_packages("prototxt")),
    ],
    package_dir={"": "src", PROTOTXT: "prototxt"},
)
