"""A server for compiled nets that speaks the Open Inference Protocol (KServe v2) over HTTP and gRPC."""
