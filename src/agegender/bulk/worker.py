"""What runs a shard: a process, or an actor on some node, with the nets open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from agegender.bulk import rows
from agegender.errors import AgeGenderError
from agegender.inference import image_files
from caffe.device.image_file import MAX_BYTES, ImageError, decode_image


class Worker:
    """Predicts the images of shards.

    Parameters
    ----------
    factory : callable
        Returns an open FacePredictor for `settings`; a function of a module, so that another process can import it.
    settings : dict
        Passed to `factory`.
    """

    def __init__(self, factory: Callable[[dict[str, Any]], Any], settings: dict[str, Any]) -> None:
        self.predictor = factory(settings)

    def ready(self) -> None:
        """Return nothing; who waits for it knows that the nets are open."""

    def run(self, names: Sequence[str], kind: str) -> bytes:
        """Return the content of a shard with one row or more per image, in order; `kind` is its format.

        An image that cannot be read is a row with the reason.
        """
        faces = self.predictor.find is not None
        table: list[dict[str, Any]] = []
        for name, result in self.predictor.predict_each(names, read_image):
            if isinstance(result, AgeGenderError):
                table.append(rows.failed(name, str(result)))
            else:
                table += rows.of_result(name, result, faces)
        return rows.encode(table, self.predictor.output_names, faces, kind)

    def close(self) -> None:
        """Release the device."""
        self.predictor.close()


def is_address(name: str) -> bool:
    """Return whether `name` is an address such as s3://bucket/key rather than a path."""
    return "://" in name


def read_image(name: str) -> Any:
    """Read an image (uint8 BGR) from a path or an address that fsspec understands. Raises AgeGenderError."""
    if not is_address(name):
        return image_files.read_image(name)
    import fsspec

    try:
        with fsspec.open(name, "rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except Exception as error:  # each file system has exceptions of its own
        raise image_files.failure(image_files.NO_FILE, f"{name}: {str(error) or type(error).__name__}") from None
    try:
        return image_files.check_size(name, decode_image(data, name=name))
    except ImageError as error:
        raise image_files.failure(image_files.NO_IMAGE, str(error)) from None


def find_addresses(pattern: str) -> list[str]:
    """Return the images below an address, or those that match it if it has wildcards, sorted.

    Raises
    ------
    AgeGenderError
        If the package for its file system is missing, or nothing matches.
    """
    import fsspec

    protocol = pattern.partition("://")[0]
    try:
        system, path = fsspec.core.url_to_fs(pattern)
        found = system.glob(path) if any(sign in path for sign in "*?[") else system.find(path)
    except (ImportError, ValueError) as error:
        raise AgeGenderError(f"{pattern}: {error}") from None
    except Exception as error:
        raise AgeGenderError(f"{pattern}: {str(error) or type(error).__name__}") from None
    images = sorted(str(name) for name in found if str(name).lower().endswith(image_files.IMAGE_SUFFIXES))
    if not images:
        raise image_files.failure(image_files.NO_FILE, f"{pattern}: no image there")
    return [f"{protocol}://{name.lstrip('/') if protocol != 'file' else name}" for name in images]
