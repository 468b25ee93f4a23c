"""A wide residual net for age and gender in Keras; a program for the environment of tests/support/keras_env.py.

    python keras_wide_resnet.py create DEPTH WIDTH SIDE model.h5 images.npy outputs.npz   # random weights, saved
    python keras_wide_resnet.py predict DEPTH WIDTH SIDE weights.h5 images.npy outputs.npz

The images are float32 (N, SIDE, SIDE, 3); the outputs are `gender` (N, 2), `age` (N, 101) and `parameters`, as counted
by Keras.
"""

import sys

import keras
import numpy as np
from keras import layers


def build(depth, width, side):
    """Three stages of pre-activation blocks, 8x8 average pooling of stride 1, two softmax heads; no biases."""
    data = keras.Input((side, side, 3))
    top = conv(data, 16, 3, 1)
    for stage, stride in enumerate((1, 2, 2)):
        for block in range((depth - 4) // 6):
            top = residual(top, (16 * width) << stage, stride if block == 0 else 1)
    top = activate(top)
    top = layers.AveragePooling2D((8, 8), strides=(1, 1), padding="same")(top)
    top = layers.Flatten()(top)
    heads = [
        layers.Dense(n, use_bias=False, activation="softmax", name=name)(top)
        for name, n in (("pred_gender", 2), ("pred_age", 101))
    ]
    return keras.Model(data, heads)


def conv(x, filters, kernel, stride):
    return layers.Conv2D(filters, kernel, strides=stride, padding="same", use_bias=False)(x)


def activate(x):
    return layers.Activation("relu")(layers.BatchNormalization()(x))


def residual(x, filters, stride):
    activated = activate(x)
    branch = conv(activate(conv(activated, filters, 3, stride)), filters, 3, 1)
    return layers.Add()([branch, x if x.shape[-1] == filters else conv(activated, filters, 1, stride)])


def create(model, path, images, outputs):
    """Set random weights, batch normalization included, save the model, and predict."""
    rng = np.random.default_rng(11)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            n = layer.gamma.shape[0]
            layer.set_weights(
                [rng.uniform(0.5, 1.5, n), rng.normal(0, 0.2, n), rng.normal(0, 0.3, n), rng.uniform(0.5, 2, n)]
            )
    model.save(path)
    save_outputs(model, images, outputs)


def predict(model, weights, images, outputs):
    """Predict with the weights of a file."""
    model.load_weights(weights)
    save_outputs(model, images, outputs)


def save_outputs(model, images, outputs):
    gender, age = model.predict(np.load(images), verbose=0)
    np.savez(outputs, gender=gender, age=age, parameters=model.count_params())


def main(action, depth, width, side, *paths):
    keras.utils.set_random_seed(7)
    keras.config.set_image_data_format("channels_last")
    {"create": create, "predict": predict}[action](build(int(depth), int(width), int(side)), *paths)


if __name__ == "__main__":
    main(*sys.argv[1:])
