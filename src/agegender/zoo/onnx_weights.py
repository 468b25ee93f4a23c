"""ONNX files (opset 11 and its neighbours) of the operators that the zoo's nets use, as Caffe nets."""
def layers_of(path):
    """{Caffe layer: arrays} of an ONNX file."""
    raise NotImplementedError
