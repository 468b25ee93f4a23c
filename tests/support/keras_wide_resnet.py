"""A wide residual net for age and gender in plain Keras calls; a program for the environment of tests/support/keras_env.py.

    python keras_wide_resnet.py make DEPTH WIDTH SIDE model.h5 pictures.npy answers.npz   # seeded weights, saved
    python keras_wide_resnet.py ask DEPTH WIDTH SIDE weights.h5 pictures.npy answers.npz

Pictures are float32 (N, SIDE, SIDE, 3); answers hold `gender` (N, 2), `age` (N, 101) and `parameters`, as Keras counts them.
"""

import sys

import keras
import numpy as np
from keras import layers


def build(depth, width, side):
    """Pre-activation blocks in three stages, 8x8 average pooling of stride 1, two softmax heads; no bias anywhere."""
    data = keras.Input((side, side, 3))
    top = conv(data, 16, 3, 1)
    for stage, stride in enumerate((1, 2, 2)):
        for block in range((depth - 4) // 6):
            top = residual(top, (16 * width) << stage, stride if block == 0 else 1)
    top = active(top)
    top = layers.AveragePooling2D((8, 8), strides=(1, 1), padding="same")(top)
    top = layers.Flatten()(top)
    heads = [
        layers.Dense(n, use_bias=False, activation="softmax", name=name)(top)
        for name, n in (("pred_gender", 2), ("pred_age", 101))
    ]
    return keras.Model(data, heads)


def conv(x, filters, kernel, stride):
    return layers.Conv2D(filters, kernel, strides=stride, padding="same", use_bias=False)(x)


def active(x):
    return layers.Activation("relu")(layers.BatchNormalization()(x))


def residual(x, filters, stride):
    before = active(x)
    branch = conv(active(conv(before, filters, 3, stride)), filters, 3, 1)
    return layers.Add()([branch, x if x.shape[-1] == filters else conv(before, filters, 1, stride)])


def make(model, path, pictures, answers):
    """Answer with seeded weights, those of the normalisations too, and save the model."""
    rng = np.random.default_rng(11)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            n = layer.gamma.shape[0]
            layer.set_weights(
                [rng.uniform(0.5, 1.5, n), rng.normal(0, 0.2, n), rng.normal(0, 0.3, n), rng.uniform(0.5, 2, n)]
            )
    model.save(path)
    answer(model, pictures, answers)


def ask(model, weights, pictures, answers):
    """Answer with the weights of a file."""
    model.load_weights(weights)
    answer(model, pictures, answers)


def answer(model, pictures, answers):
    gender, age = model.predict(np.load(pictures), verbose=0)
    np.savez(answers, gender=gender, age=age, parameters=model.count_params())


def main(action, depth, width, side, *paths):
    keras.utils.set_random_seed(7)
    keras.config.set_image_data_format("channels_last")
    {"make": make, "ask": ask}[action](build(int(depth), int(width), int(side)), *paths)


if __name__ == "__main__":
    main(*sys.argv[1:])
