"""Images with boxes: SSD's records, and the random changes of image and boxes in training."""
