"""Small databases, nets and solvers for tests of training."""

import numpy as np


def database(path, count, shape=(3, 12, 12), classes=3, seed=0):
    """Write an LMDB of `count` random images whose brightness depends on the class."""
    from caffe.data import datum
    from caffe.data.db import create_db

    rng = np.random.default_rng(seed)
    with create_db(str(path), "lmdb") as writer:
        for i in range(count):
            label = int(rng.integers(classes))
            image = np.clip(rng.normal(60 + 60 * label, 30, shape), 0, 255).astype(np.uint8)
            writer.put(b"%08d" % i, datum.encode(image, label))


def dropout_net(db, batch=5):
    """Prototxt of a small net with dropout, on random crops and mirror images of an LMDB."""
    return f"""
    name: "small"
    layer {{ name: "data" type: "Data" top: "data" top: "label" include {{ phase: TRAIN }}
      transform_param {{ crop_size: 10 mirror: true mean_value: 100 scale: 0.01 }}
      data_param {{ source: "{db}" backend: LMDB batch_size: {batch} }} }}
    layer {{ name: "data" type: "Data" top: "data" top: "label" include {{ phase: TEST }}
      transform_param {{ crop_size: 10 mean_value: 100 scale: 0.01 }}
      data_param {{ source: "{db}" backend: LMDB batch_size: {batch} }} }}
    layer {{ name: "conv" type: "Convolution" bottom: "data" top: "conv"
      convolution_param {{ num_output: 4 kernel_size: 3 weight_filler {{ type: "xavier" }} }} }}
    layer {{ name: "relu" type: "ReLU" bottom: "conv" top: "conv" }}
    layer {{ name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param {{ kernel_size: 2 stride: 2 }} }}
    layer {{ name: "drop" type: "Dropout" bottom: "pool" top: "pool" }}
    layer {{ name: "ip" type: "InnerProduct" bottom: "pool" top: "ip"
      inner_product_param {{ num_output: 3 weight_filler {{ type: "xavier" }} }} }}
    layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }}
    layer {{ name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy" include {{ phase: TEST }} }}
    """


def solver_text(folder, type="SGD", snapshot=0, test=False, **fields):
    """Prototxt of a solver for <folder>/net.prototxt with snapshots at <folder>/s."""
    text = f'net: "{folder}/net.prototxt" type: "{type}" '
    text += 'base_lr: 0.05 lr_policy: "step" gamma: 0.5 stepsize: 5 momentum: 0.9 '
    text += "weight_decay: 0.001 max_iter: 100 display: 1 random_seed: 7 "
    text += f'snapshot: {snapshot} snapshot_prefix: "{folder}/s" '
    if test:
        text += "test_iter: 5 test_interval: 4 "
    return text + " ".join(f"{name}: {value}" for name, value in fields.items())
