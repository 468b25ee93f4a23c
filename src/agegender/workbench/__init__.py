"""The workbench: data sets, runs, evaluations and models of a working directory, in a browser.

`server` answers requests and imports neither torch nor onnx; what needs them runs as a child process: the commands of
this project as jobs, and the modules of `tasks`.
"""
