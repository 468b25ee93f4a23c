"""Native kernels: C functions for layers whose time is that of their passes over memory.

They are optional. `python -m caffe.kernels.build` compiles them with the system's C compiler; scripts/setup.sh does so.
Without them, with CAFFE_DISABLE_KERNELS=1, and for tensors that they do not support, PyTorch computes the same. The
optimization passes (caffe.passes) use them, so that CAFFE_DISABLE_PASSES=1 turns them off as well.
"""
