"""Compiles Caffe nets to ONNX, IR, Myriad blobs and NCSDK graphs."""
