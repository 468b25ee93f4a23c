"""Small compiled nets, for tests of prediction."""

import caffe
from caffe.device.transform import Transform
from ncs.compiler.compile import Model, Options, compile_models

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 20 dim: 20 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 5 stride: 3 weight_filler { type: "gaussian" std: 0.05 } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { kernel_size: 3 stride: 2 } }
layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc"
  inner_product_param { num_output: %d weight_filler { type: "xavier" } } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""


def compile_age_and_gender(folder, transform, ages="012345678"):
    """Write a small AgeNet and GenderNet as ONNX and IR, with prototxt and caffemodel, into `folder`."""
    return compile_nets(folder, transform, {"AgeNet": list(ages), "GenderNet": ["Male", "Female"]})


def compile_nets(folder, transform, nets, seed=5):
    """Write small nets, {name: class names}, as ONNX and IR; each has the seed after that of the previous one."""
    jobs = []
    for number, (name, labels) in enumerate(nets.items()):
        prototxt, weights = folder / (name + ".prototxt"), folder / (name + ".caffemodel")
        prototxt.write_text(NET % len(labels))
        caffe.set_random_seed(seed + number)
        caffe.Net(str(prototxt), caffe.TEST).save(str(weights))
        jobs.append((Model(name, str(prototxt), str(weights), transform, labels), str(folder / name)))
    compile_models(jobs, Options(blob=False))
    return folder


def transform(mean=None, **fields):
    """A Transform to 20 x 20 pixels in BGR."""
    return Transform(size=(20, 20), mean=mean, **fields)
