"""Conversion of image lists, MNIST and CIFAR files into databases."""
