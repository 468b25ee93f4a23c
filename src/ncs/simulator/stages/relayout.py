"""HwFcRelayout: flatten an image to the vector that the fully connected engines read."""

from __future__ import annotations

from ncs.simulator.call import Call
from ncs.simulator.stages import stage


@stage("HwFcRelayout")
def relayout(call: Call) -> None:
    """Flatten (C, H, W) to the channels of a 1x1 image. Tensors: input, output."""
    image = call.image(0)
    call.write_image(1, image.reshape(len(image), -1, 1, 1))
