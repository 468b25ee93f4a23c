"""Ship prototxt/ inside the package as agegender/prototxt/, which pyproject.toml cannot express."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithPrototxt(build_py):
    """Copy prototxt/ into the package; an editable install reads it from the checkout."""

    def run(self):
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib) / "agegender" / "prototxt"
            shutil.copytree("prototxt", target, dirs_exist_ok=True)


setup(cmdclass={"build_py": BuildWithPrototxt})
