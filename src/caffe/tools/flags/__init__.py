"""gflags' spellings and the flags that every program of Caffe accepts."""
