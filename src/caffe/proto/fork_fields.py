"""Fields that well-known forks of Caffe added; the parser skips them with one warning.

The names come from the public schemas of NVCaffe (0.15 to 0.17), SSD (weiliu89/caffe) and Intel Caffe. Fields of the
same name in caffe.proto have precedence. Fields that change the net's outputs are listed separately, because the net
is not the same without them.
"""

from __future__ import annotations

FORKS: dict[str, dict[str, str]] = {
    "NVCaffe": {
        "NetParameter": (
            "default_forward_type default_backward_type default_forward_math default_backward_math "
            "default_conv_algos_override default_cudnn_math_override global_grad_scale "
            "global_grad_scale_adaptive reduce_buckets bn_scaled quantize eltwise_mem_sharing"
        ),
        "LayerParameter": (
            "forward_type backward_type forward_math backward_math debug cudnn_math_override "
            "detectnet_groundtruth_param detectnet_augmentation_param parameter_reduce "
            "local_lr_auto"
        ),
        "SolverParameter": (
            "solver_data_type store_blobs_in_old_format global_grad_scale "
            "global_grad_scale_adaptive reduce_buckets min_lr rampup_interval rampup_lr "
            "local_lr_policy local_lr_auto local_gw_ratio larc larc_eta larc_policy larc_turbo "
            "momentum_policy max_momentum momentum_power weight_decay_policy weight_decay_power "
            "test_and_snapshot_start_epoch test_and_snapshot_last_epochs max_epoch epoch_size "
            "test_epoch_size test_interval_epoch per_parameter_reduce profile"
        ),
        "TransformationParameter": (
            "use_gpu_transform img_rand_resize_lower img_rand_resize_upper rand_resize_ratio_lower "
            "rand_resize_ratio_upper short_side display num_labels"
        ),
        "DataParameter": "threads parser_threads cache shuffle",
        "ImageDataParameter": "threads cache short_side",
        "ConvolutionParameter": ("cudnn_convolution_algo_seeker conv_algos_override cudnn_math_override"),
        "DropoutParameter": "rng_seed",
        "BatchNormParameter": "engine",
        "PoolingParameter": "cudnn_math_override",
    },
    "SSD": {
        "LayerParameter": (
            "annotated_data_param detection_evaluate_param detection_output_param "
            "multibox_loss_param norm_param permute_param prior_box_param video_data_param"
        ),
        "SolverParameter": "eval_type ap_version show_per_class_result plateau_winsize",
        "TransformationParameter": (
            "crop_h crop_w resize_param noise_param emit_constraint distort_param expand_param"
        ),
    },
    "Intel Caffe": {
        "NetParameter": "engine compile_net_state",
        "LayerParameter": ("engine multinode mn_activation_param mn_param_grad_compress_param quantization_param"),
        "SolverParameter": "engine disabled_update snapshot_after_test",
        "BatchNormParameter": "engine",
        "ConcatParameter": "engine",
        "EltwiseParameter": "engine",
        "InnerProductParameter": "engine",
        "TransformationParameter": "random_resize_param random_aspect_ratio_param",
        "DataParameter": "shuffle",
    },
}

# Fields that change the net's outputs, with advice for the warning.
ADVICE: dict[str, dict[str, str]] = {
    "BatchNormParameter": {
        "scale_bias": "add a Scale layer with bias_term: true after it",
        "scale_filler": "add a Scale layer after it",
        "bias_filler": "add a Scale layer with bias_term: true after it",
    },
    "PoolingParameter": {"ceil_mode": "use round_mode: FLOOR if it is false"},
    "DropoutParameter": {
        "scale_train": "Caffe scales in phase TRAIN",
        "sample_weights_test": "Caffe has no dropout in phase TEST",
    },
    "ConvolutionParameter": {"relu": "add a ReLU layer after it", "negative_slope": "add a ReLU layer after it"},
}

ENGINES = {"MKL2017", "MKLDNN", "SPATIAL", "LIBDNN", "NNPACK", "INTEL_SPATIAL"}


def _by_field() -> dict[tuple[str, str], str]:
    forks: dict[tuple[str, str], str] = {}
    for fork, messages in FORKS.items():
        for message, names in messages.items():
            for name in names.split():
                forks.setdefault((message, name), fork)
    return forks


_FORK_OF = _by_field()


def origin(message: str, field: str) -> str | None:
    """Return the fork that added `field` to `message`, with advice if it changes the outputs, or None."""
    advice = ADVICE.get(message, {}).get(field)
    if advice:
        return f"a fork, which changes the net's outputs: {advice}"
    # forks added the same fields to V1 layers
    return _FORK_OF.get(("LayerParameter" if message == "V1LayerParameter" else message, field))
