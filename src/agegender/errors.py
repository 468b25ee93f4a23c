"""The one exception of this package for what a user can put right."""

from caffe.errors import CaffeError


class AgeGenderError(CaffeError):
    """A fault in the faces, lists or models the application was given."""
