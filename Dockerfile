# The command-line programs with PyTorch's CPU build, without CUDA, as a user without root rights.
#   docker build -t caffe2ncs .
#   docker run --rm -v "$PWD:/data" caffe2ncs agegender predict --detect --model compact --image_path group.jpg
FROM python:3.12-slim AS build
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1
RUN python -m venv /opt/caffe2ncs
ENV PATH=/opt/caffe2ncs/bin:$PATH
WORKDIR /build
COPY constraints.txt ./
# PyTorch first: this layer is rebuilt only when its version changes
RUN pip install --extra-index-url "$TORCH_INDEX" "$(sed -n 's/^\(torch==[^ ;]*\).*/\1/p' constraints.txt)+cpu"
COPY . .
RUN pip install --extra-index-url "$TORCH_INDEX" -c constraints.txt .

FROM python:3.12-slim
COPY --from=build /opt/caffe2ncs /opt/caffe2ncs
RUN useradd --create-home --uid 1000 caffe && mkdir /data && chown caffe /data
ENV PATH=/opt/caffe2ncs/bin:$PATH MPLBACKEND=Agg PYTHONUNBUFFERED=1
USER caffe
WORKDIR /data
CMD ["agegender", "--help"]
