"""The enumerations of mvncapi: options, states, types and status codes.

Members of API v1, which has other numbers for the same or different options, have the value (1, number).
"""

from __future__ import annotations

import enum


class Status(enum.Enum):
    """Status codes; every status but OK is raised."""

    OK = 0
    BUSY = -1
    ERROR = -2
    OUT_OF_MEMORY = -3
    DEVICE_NOT_FOUND = -4
    INVALID_PARAMETERS = -5
    TIMEOUT = -6
    MVCMD_NOT_FOUND = -7
    NOT_ALLOCATED = -8
    UNAUTHORIZED = -9
    UNSUPPORTED_GRAPH_FILE = -10
    UNSUPPORTED_CONFIGURATION_FILE = -11
    UNSUPPORTED_FEATURE = -12
    MYRIAD_ERROR = -13
    INVALID_DATA_LENGTH = -14
    INVALID_HANDLE = -15
    MVCMDNOTFOUND = -7
    NO_DATA = (1, -8)
    GONE = (1, -9)


class LogLevel(enum.Enum):
    """Log levels."""

    DEBUG, INFO, WARN, ERROR, FATAL = range(5)


class GlobalOption(enum.Enum):
    """Options of the API."""

    RW_LOG_LEVEL, RO_API_VERSION = range(2)
    LOG_LEVEL = LOGLEVEL = (1, 0)


class GraphState(enum.Enum):
    """States of a graph."""

    CREATED, ALLOCATED, WAITING_FOR_BUFFERS, RUNNING = range(4)


class DeviceState(enum.Enum):
    """States of a device."""

    CREATED, OPENED, CLOSED = range(3)


class FifoState(enum.Enum):
    """States of a fifo."""

    EMPTY, CREATED, ALLOCATED = 0, 1, 2


class FifoType(enum.Enum):
    """Access of the host to a fifo."""

    HOST_RO, HOST_WO = range(2)


class FifoDataType(enum.Enum):
    """Element types of a fifo."""

    FP16, FP32 = range(2)


class DeviceHwVersion(enum.Enum):
    """Chips."""

    MA2450, MA2480 = range(2)


class GraphOption(enum.Enum):
    """Options of a graph."""

    RO_GRAPH_STATE = 1000
    RO_TIME_TAKEN = 1001
    RO_INPUT_COUNT = 1002
    RO_OUTPUT_COUNT = 1003
    RO_INPUT_TENSOR_DESCRIPTORS = 1004
    RO_OUTPUT_TENSOR_DESCRIPTORS = 1005
    RO_DEBUG_INFO = 1006
    RO_GRAPH_NAME = 1007
    RO_CLASS_LIMIT = 1008
    RO_GRAPH_VERSION = 1009
    RO_TIME_TAKEN_ARRAY_SIZE = 1011
    RW_EXECUTORS_NUM = 1110
    ITERATIONS = (1, 0)
    NETWORK_THROTTLE = (1, 1)
    DONT_BLOCK = DONTBLOCK = (1, 2)
    TIME_TAKEN = TIMETAKEN = (1, 1000)
    DEBUG_INFO = DEBUGINFO = (1, 1001)


class DeviceOption(enum.Enum):
    """Options of a device."""

    RO_THERMAL_STATS = 2000
    RO_THERMAL_THROTTLING_LEVEL = 2001
    RO_DEVICE_STATE = 2002
    RO_CURRENT_MEMORY_USED = 2003
    RO_MEMORY_SIZE = 2004
    RO_MAX_FIFO_NUM = 2005
    RO_ALLOCATED_FIFO_NUM = 2006
    RO_MAX_GRAPH_NUM = 2007
    RO_ALLOCATED_GRAPH_NUM = 2008
    RO_CLASS_LIMIT = 2009
    RO_FW_VERSION = 2010
    RO_DEBUG_INFO = 2011
    RO_MVTENSOR_VERSION = 2012
    RO_DEVICE_NAME = 2013
    RO_MAX_EXECUTORS_NUM = 2014
    RO_HW_VERSION = 2015
    TEMP_LIM_LOWER = (1, 1)
    TEMP_LIM_HIGHER = (1, 2)
    BACKOFF_TIME_NORMAL = (1, 3)
    BACKOFF_TIME_HIGH = (1, 4)
    BACKOFF_TIME_CRITICAL = (1, 5)
    TEMPERATURE_DEBUG = (1, 6)
    THERMAL_STATS = THERMALSTATS = (1, 1000)
    OPTIMISATION_LIST = OPTIMISATIONLIST = (1, 1001)
    THERMAL_THROTTLING_LEVEL = (1, 1002)


class FifoOption(enum.Enum):
    """Options of a fifo."""

    RW_TYPE = 0
    RW_CONSUMER_COUNT = 1
    RW_DATA_TYPE = 2
    RW_DONT_BLOCK = 3
    RO_CAPACITY = 4
    RO_READ_FILL_LEVEL = 5
    RO_WRITE_FILL_LEVEL = 6
    RO_GRAPH_TENSOR_DESCRIPTOR = 7
    RO_STATE = 8
    RO_NAME = 9
    RO_ELEMENT_DATA_SIZE = 10
    RW_HOST_TENSOR_DESCRIPTOR = 11


class MvncError(Exception):
    """The exception of mvncapi: its first argument is the Status, `text` has details."""

    def __init__(self, status: Status, text: str = "") -> None:
        super().__init__(status)
        self.text = text

    def __str__(self) -> str:
        return "{}{}".format(self.args[0], ": " + self.text if self.text else "")
