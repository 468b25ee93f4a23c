"""The root that the tests of the workbench share, and clients of it."""

import shutil

import pytest
from starlette.testclient import TestClient
from support import workbench_root

from agegender.workbench.server.app import create_app
from agegender.workbench.server.settings import Settings

ADDRESS = "http://127.0.0.1:8080"


@pytest.fixture(scope="session")
def trained_root(tmp_path_factory):
    """A root with everything; not to be changed."""
    root = tmp_path_factory.mktemp("root")
    workbench_root.write_root(str(root))
    return root


@pytest.fixture
def root(trained_root, tmp_path):
    """A copy of the root that a test may change."""
    return shutil.copytree(trained_root, tmp_path / "root", symlinks=True)


def client_of(root, **settings):
    """A client of a workbench of `root`; use it as a context manager to run the queue."""
    app = create_app(Settings.checked(str(root), settings.pop("host", "127.0.0.1"), 8080, **settings))
    return TestClient(app, base_url=ADDRESS, follow_redirects=False)


@pytest.fixture
def client(root):
    """A client of the copy, without a running queue."""
    return client_of(root)
