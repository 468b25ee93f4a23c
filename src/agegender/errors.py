"""AgeGenderError, raised for every error that a user can fix."""

from caffe.errors import CaffeError


class AgeGenderError(CaffeError):
    """An error in the faces, lists, models or options of the user."""
