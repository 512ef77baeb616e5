# An image with the package and the console command. The base chooses the device:
#   docker build -t slowfast_ext .
#   docker build -t slowfast_ext:cuda --build-arg BASE=nvidia/cuda:12.8.1-base-ubuntu24.04 .
# Loader processes hand batches over in shared memory, which docker limits to 64 MiB:
#   docker run --rm --shm-size 16g -v /data:/data slowfast_ext doctor
#   docker run --rm --gpus all --shm-size 16g -v /data:/data slowfast_ext:cuda train --cfg exp/motion_uniformer_joint/config.yaml
# PIP_ARGS goes to pip, for instance another index for torch builds without CUDA (INSTALL.md).
ARG BASE=debian:bookworm-slim
FROM ${BASE}

RUN apt-get update \
    && apt-get install -y --no-install-recommends bash ca-certificates python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/slowfast_ext
COPY . .

ARG PIP_ARGS=""
ARG EXTRA=""
RUN PIP_ARGS="--no-cache-dir ${PIP_ARGS}" bash tools/setup.sh ${EXTRA}

ENV PATH=/opt/slowfast_ext/.venv/bin:$PATH
ENTRYPOINT ["slowfast-ext"]
CMD ["--help"]
