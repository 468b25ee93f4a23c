"""`python -m ncs.blobconverter`: blobconverter's command line, offline."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from caffe.errors import CaffeError
from ncs import blobconverter
from ncs.errors import NcsError


def main(argv: Sequence[str] | None = None) -> int:
    """Compile the model that the arguments name and print the path of the blob; return the exit status."""
    parser = argparse.ArgumentParser(prog="blobconverter", description=blobconverter.__doc__.split("\n")[0])
    parser.add_argument("-zn", "--zoo-name", help="a registered net, such as compact")
    parser.add_argument("-zt", "--zoo-type", help="accepted and ignored")
    parser.add_argument("-onnx", "--onnx-model", help="ONNX file")
    parser.add_argument("-cp", "--caffe-proto", help="prototxt")
    parser.add_argument("-cm", "--caffe-model", help="caffemodel")
    parser.add_argument("-tf", "--tensorflow-pb", help="not supported: convert it to ONNX")
    parser.add_argument("-ox", "--openvino-xml", help="IR, .xml")
    parser.add_argument("-ob", "--openvino-bin", help="IR, .bin")
    parser.add_argument("-rawn", "--raw-name", help="not supported")
    parser.add_argument("-rawc", "--raw-config", help="not supported")
    parser.add_argument("-sh", "--shaves", type=int, choices=range(1, 17), help="SHAVE cores (default: 4)")
    parser.add_argument("-dt", "--data-type", help="FP16")
    parser.add_argument("-o", "--output-dir", help="folder of the blob (default: in the cache)")
    parser.add_argument("-v", "--version", help="OpenVINO release: 2020.4 to 2022.1, whose blobs have one format")
    parser.add_argument("--optimizer-params", help="flags of the Model Optimizer")
    parser.add_argument("--compile-params", help="flags of compile_tool (default: -ip U8)")
    parser.add_argument("--converter-url", dest="url", help="accepted and ignored: nothing is uploaded")
    parser.add_argument("--no-cache", dest="use_cache", action="store_false", help="compile again")
    parser.add_argument("--zoo-list", action="store_true", help="list the registered nets")
    parser.add_argument("--download-ir", action="store_true", help="not supported: `ncs compile` writes the IR")
    args = parser.parse_args(argv)
    try:
        print("\n".join(blobconverter.zoo_list()) if args.zoo_list else _convert(args))
    except CaffeError as error:
        print(f"blobconverter: error: {error}", file=sys.stderr)
        return 1
    return 0


def _convert(args: argparse.Namespace) -> object:
    names = ("shaves", "data_type", "output_dir", "version", "use_cache", "download_ir")
    options = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    if args.compile_params:
        options["compile_params"] = [args.compile_params]
    flags = [args.optimizer_params] if args.optimizer_params else []
    if args.zoo_name:
        return blobconverter.from_zoo(args.zoo_name, **options)
    if args.caffe_proto or args.caffe_model:
        if not (args.caffe_proto and args.caffe_model):
            raise NcsError("expected both -cp PROTOTXT and -cm CAFFEMODEL")
        return blobconverter.from_caffe(args.caffe_proto, args.caffe_model, optimizer_params=flags, **options)
    if args.onnx_model:
        return blobconverter.from_onnx(args.onnx_model, optimizer_params=flags, **options)
    if args.openvino_xml:
        return blobconverter.from_openvino(args.openvino_xml, args.openvino_bin, **options)
    if args.tensorflow_pb:
        return blobconverter.from_tf(args.tensorflow_pb)
    if args.raw_config:
        return blobconverter.from_config(args.raw_name, args.raw_config)
    raise NcsError("nothing to convert: give -cp and -cm, -onnx, -ox or -zn")


if __name__ == "__main__":
    sys.exit(main())
