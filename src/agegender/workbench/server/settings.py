"""Settings of a workbench, and its limits."""

from __future__ import annotations

import dataclasses
import ipaddress
import os

from agegender.errors import AgeGenderError

MAX_IMAGE_BYTES = 20 << 20
MAX_IMAGES = 500  # of one request
MAX_BODY = 1 << 20  # bytes of a form
MAX_UPLOAD = 256 << 20  # bytes of a request with images or an archive
MAX_STREAMS = 200  # event streams open at the same time
BODY_SECONDS = 30.0  # without a byte of a body
PRIVATE = ".workbench"  # cache and uploads, below the root; may be deleted at any time
JOBS = "jobs"


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of a workbench.

    Attributes
    ----------
    root : str
        Absolute path of the working directory that is shown.
    host : str
        Address that the server binds to.
    port : int
    token : str
        What a client must present; "" on the loopback address.
    read_only : bool
        Refuse every request that changes something or starts a job.
    """

    root: str
    host: str = "127.0.0.1"
    port: int = 8080
    token: str = ""
    read_only: bool = False

    @classmethod
    def checked(cls, root: str, host: str, port: int, token: str = "", read_only: bool = False) -> Settings:
        """Return Settings; raise AgeGenderError for a root that is no directory, a wrong port or a missing token."""
        if not os.path.isdir(root):
            raise AgeGenderError(f"--root {root}: expected a directory; create it or name another one")
        if not 0 <= port <= 65535:
            raise AgeGenderError(f"--port: expected 0 to 65535, received {port}")
        if not token and not is_loopback(host):
            raise AgeGenderError(f"--host {host}: other machines could connect, which needs a token")
        return cls(os.path.realpath(root), host, port, token, read_only)

    @property
    def private(self) -> str:
        """The folder of cache and uploads."""
        return os.path.join(self.root, PRIVATE)

    @property
    def jobs(self) -> str:
        """The folder of jobs, one folder each."""
        return os.path.join(self.root, JOBS)

    def hosts(self) -> set[str]:
        """Host names that a request may be addressed to, in lower case and without port."""
        names = {"127.0.0.1", "localhost", "[::1]"}
        if not is_loopback(self.host) and self.host not in ("0.0.0.0", "::"):
            names.add(f"[{self.host}]" if ":" in self.host else self.host.lower())
        return names

    def allows_host(self, header: str) -> bool:
        """Return whether a Host header is one of `hosts`, or any IP address if the server binds to all interfaces.

        A page of a foreign name that resolves to this machine (DNS rebinding) sends that name.
        """
        name = header.rpartition(":")[0] if header.rpartition(":")[2].isdigit() and not header.endswith("]") else header
        name = name.lower()
        return name in self.hosts() or (self.host in ("0.0.0.0", "::") and _is_address(name.strip("[]")))


def is_loopback(host: str) -> bool:
    """Return whether `host` is an address of this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
