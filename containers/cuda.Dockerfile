# livevision on NVIDIA GPUs of PCs and servers, with TensorRT. In the root of a checkout:
#   docker build --file containers/cuda.Dockerfile --tag livevision:cuda .
#   docker run --gpus all … livevision:cuda
#
# TensorRT comes from PyPI and brings CUDA's runtime; the driver, NVDEC and NVENC come from the host,
# through the NVIDIA Container Toolkit. TensorRT is under NVIDIA's own licence.
ARG PYTHON=3.11-slim-bookworm

FROM python:${PYTHON} AS build
ARG EXTRAS=events,tensorrt,web
# A release whose package of this name is for CUDA 12; drivers of CUDA 12 and 13 run it.
ARG TENSORRT=10.11.0.33
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /source
COPY requirements.lock requirements-dev.lock ./
# The tested versions, as limits: packages that nothing needs are not installed.
RUN grep --no-filename --invert-match '^-r ' requirements.lock requirements-dev.lock >limits.txt && \
    echo "tensorrt==${TENSORRT}" >>limits.txt
COPY pyproject.toml README.md LICENSE ./
COPY livevision livevision
COPY configs configs
COPY weights weights
# The builder has an environment of its own, so that none of its packages count as installed below.
RUN python -m venv /builder && \
    /builder/bin/pip install --constraint limits.txt hatchling && \
    /builder/bin/python -m hatchling build -t wheel -d /wheels
# The base image has pip already.
RUN python -m venv --system-site-packages --without-pip /opt/livevision && \
    /opt/livevision/bin/python -m pip install --constraint limits.txt \
        "$(echo /wheels/*.whl)[${EXTRAS}]"
# OpenCV without windows does not need the libraries of a desktop.
RUN /opt/livevision/bin/python -m pip uninstall --yes opencv-python && \
    /opt/livevision/bin/python -m pip install --no-deps \
        "$(sed --quiet 's/^opencv-python==/opencv-python-headless==/p' requirements.lock)"

FROM python:${PYTHON}
RUN groupadd --gid 10001 livevision && \
    useradd --uid 10001 --gid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin livevision && \
    install --directory --owner=10001 --group=10001 --mode=0750 /data /cache
COPY --from=build /opt/livevision /opt/livevision
# "video" adds the libraries of NVDEC and NVENC.
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility,video \
    PATH=/opt/livevision/bin:$PATH \
    HOME=/data \
    XDG_CACHE_HOME=/cache \
    XDG_DATA_HOME=/data \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /data
VOLUME ["/data", "/cache"]
EXPOSE 8080
STOPSIGNAL SIGTERM
# The first start builds TensorRT's plans, which takes minutes; /cache keeps them.
HEALTHCHECK --interval=30s --timeout=10s --start-period=15m --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8080/healthz', timeout=5)"]
ENTRYPOINT ["livevision"]
CMD ["--config", "/etc/livevision/run.yaml", "--log-format", "json"]
