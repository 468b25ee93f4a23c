"""See ncs.mvnc_compat.mvncapi."""

from ncs.mvnc_compat.mvncapi import *  # noqa: F403
