"""Levi and Hassner's nets in the prototxt syntax of 2014 (`layers`, upper-case types, blobs_lr), for tests."""

TRAIN_VAL = """name: "CaffeNet"
layers {
  name: "data" type: DATA top: "data" top: "label"
  data_param { source: "lmdb/Test_fold_is_%(fold)d/%(task)s_train_lmdb" backend: LMDB batch_size: 50 }
  transform_param { crop_size: 227 mean_file: "mean_image/Test_folder_is_%(fold)d/mean.binaryproto" mirror: true }
  include: { phase: TRAIN }
}
layers {
  name: "data" type: DATA top: "data" top: "label"
  data_param { source: "lmdb/Test_fold_is_%(fold)d/%(task)s_val_lmdb" backend: LMDB batch_size: 50 }
  transform_param { crop_size: 227 mean_file: "mean_image/Test_folder_is_%(fold)d/mean.binaryproto" mirror: false }
  include: { phase: TEST }
}
"""
DEPLOY = """name: "CaffeNet"
input: "data"
input_dim: %(batch)d
input_dim: 3
input_dim: 227
input_dim: 227
"""
CONVOLUTION = """layers {
  name: "conv%(i)d" type: CONVOLUTION bottom: "%(bottom)s" top: "conv%(i)d"
  blobs_lr: 1 blobs_lr: 2 weight_decay: 1 weight_decay: 0
  convolution_param { num_output: %(outputs)d kernel_size: %(kernel)d %(more)s
    weight_filler { type: "gaussian" std: 0.01 } bias_filler { type: "constant" value: %(bias)d } }
}
layers { name: "relu%(i)d" type: RELU bottom: "conv%(i)d" top: "conv%(i)d" }
layers { name: "%(pool)s" type: POOLING bottom: "conv%(i)d" top: "%(pool)s"
  pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
"""
NORM = """layers { name: "norm%(i)d" type: LRN bottom: "pool%(i)d" top: "norm%(i)d"
  lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 } }
"""
FULL = """layers {
  name: "fc%(i)d" type: INNER_PRODUCT bottom: "%(bottom)s" top: "fc%(i)d"
  blobs_lr: %(rate)d blobs_lr: %(twice)d weight_decay: 1 weight_decay: 0
  inner_product_param { num_output: %(outputs)d
    weight_filler { type: "gaussian" std: %(std)s } bias_filler { type: "constant" value: %(bias)d } }
}
"""
RELU_AND_DROPOUT = """layers { name: "relu%(i)d" type: RELU bottom: "fc%(i)d" top: "fc%(i)d" }
layers { name: "drop%(i)d" type: DROPOUT bottom: "fc%(i)d" top: "fc%(i)d" dropout_param { dropout_ratio: 0.5 } }
"""
LOSSES = """layers { name: "accuracy" type: ACCURACY bottom: "fc8" bottom: "label" top: "accuracy"
  include: { phase: TEST } }
layers { name: "loss" type: SOFTMAX_LOSS bottom: "fc8" bottom: "label" top: "loss" }
"""
PROB = """layers { name: "prob" type: SOFTMAX bottom: "fc8" top: "prob" }
"""
SOLVER = """net: "train_val.prototxt"
test_iter: 1000
test_interval: 1000
base_lr: 0.001
lr_policy: "step"
gamma: 0.1
stepsize: 10000
display: 20
max_iter: 50000
momentum: 0.9
weight_decay: 0.0005
snapshot: 1000
snapshot_prefix: "caffenet_train"
solver_mode: GPU
"""


def body(classes):
    """The layers from conv1 to fc8."""
    text = ""
    for i, outputs, kernel, more, bias, bottom, pool in (
        (1, 96, 7, "stride: 4", 0, "data", "pool1"),
        (2, 256, 5, "pad: 2", 1, "norm1", "pool2"),
        (3, 384, 3, "pad: 1", 0, "norm2", "pool5"),
    ):
        text += CONVOLUTION % dict(i=i, outputs=outputs, kernel=kernel, more=more, bias=bias, bottom=bottom, pool=pool)
        text += NORM % dict(i=i) if i < 3 else ""
    for i, bottom in ((6, "pool5"), (7, "fc6")):
        text += FULL % dict(i=i, bottom=bottom, rate=1, twice=2, outputs=512, std="0.005", bias=1)
        text += RELU_AND_DROPOUT % dict(i=i)
    return text + FULL % dict(i=8, bottom="fc7", rate=10, twice=20, outputs=classes, std="0.01", bias=0)


def files():
    """{name: text} of the 22 published files: 10 train_val, 10 solvers, 2 deploys."""
    texts = {}
    for task, classes, batch in (("age", 8, 1), ("gender", 2, 10)):
        for fold in range(5):
            train_val = TRAIN_VAL % dict(fold=fold, task=task) + body(classes) + LOSSES
            texts[f"{task}_train_val_test_fold_is_{fold}.prototxt"] = train_val
            texts[f"{task}_solver_test_fold_is_{fold}.prototxt"] = SOLVER
        texts[f"deploy_{task}.prototxt"] = DEPLOY % dict(batch=batch) + body(classes) + PROB
    return texts


def nine_classes():
    """{name: text} of AgeGenderPrediction's six files, which use `input_shape`."""
    texts = {}
    shape = 'name: "CaffeNet"\ninput: "data"\ninput_shape { dim: 1 dim: 3 dim: 227 dim: 227 }\n'
    for net, task, classes in (("AgeNet", "age", 9), ("GenderNet", "gender", 2)):
        texts[net + "_train_test.prototxt"] = TRAIN_VAL % dict(fold=0, task=task) + body(classes) + LOSSES
        texts[net + "_solver.prototxt"] = SOLVER
        texts[net + "_deploy.prototxt"] = shape + body(classes) + PROB
    return texts
