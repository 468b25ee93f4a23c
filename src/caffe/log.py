from caffe.glog import *  # noqa: F403  temporary alias while names move to caffe.glog
from caffe.glog import error, info, listen, warning  # noqa: F401
