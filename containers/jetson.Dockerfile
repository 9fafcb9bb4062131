# livevision on a Jetson with JetPack 7.2 (Jetson Linux r39.2), with TensorRT and nvv4l2decoder. On the
# Jetson itself, in the root of a checkout; OpenCV is compiled, which takes an hour or more:
#   docker build --file containers/jetson.Dockerfile --tag livevision:jetson .
#   docker run --runtime nvidia … livevision:jetson
ARG BASE=nvcr.io/nvidia/cuda:13.2.1-runtime-ubuntu24.04

FROM ${BASE} AS jetson
ARG L4T=r39.2
ENV DEBIAN_FRONTEND=noninteractive
# TensorRT, its Python bindings and the GStreamer elements are NVIDIA's packages for this release. CUDA's
# own index has a TensorRT for servers, which must not win. Outside of a running Jetson, the packages of
# the board install only where the file exists that says not to touch its boot loader.
RUN apt-get update && \
    apt-get install --yes --no-install-recommends ca-certificates curl && \
    curl --fail --silent --show-error --location --output /etc/apt/keyrings/jetson.asc \
        https://repo.download.nvidia.com/jetson/jetson-ota-public.asc && \
    for part in common som; do \
        echo "deb [signed-by=/etc/apt/keyrings/jetson.asc] https://repo.download.nvidia.com/jetson/$part $L4T main"; \
    done >/etc/apt/sources.list.d/jetson.list && \
    printf 'Package: *nvinfer* *nvonnxparsers*\nPin: origin repo.download.nvidia.com\nPin-Priority: 900\n' \
        >/etc/apt/preferences.d/jetson && \
    mkdir --parents /opt/nvidia/l4t-packages && \
    touch /opt/nvidia/l4t-packages/.nv-l4t-disable-boot-fw-update-in-preinstall && \
    apt-get update && \
    apt-get install --yes --no-install-recommends \
        gstreamer1.0-plugins-bad gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-tools \
        nvidia-l4t-gstreamer python3 python3-libnvinfer && \
    rm -rf /var/lib/apt/lists/*

FROM jetson AS build
ARG EXTRAS=events,tensorrt,web
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN apt-get update && \
    apt-get install --yes --no-install-recommends build-essential cmake libgstreamer-plugins-base1.0-dev \
        libgstreamer1.0-dev pkg-config python3-dev python3-venv && \
    rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY requirements.lock requirements-dev.lock ./
# The tested versions, as limits: packages that nothing needs are not installed.
RUN grep --no-filename --invert-match '^-r ' requirements.lock requirements-dev.lock >limits.txt
# With the system's packages: TensorRT's bindings are one of them.
RUN python3 -m venv --system-site-packages /opt/livevision
# No wheel of OpenCV has GStreamer. Compiled before the source is copied, so that changes there do not
# compile it again.
RUN CMAKE_ARGS="-DWITH_GSTREAMER=ON -DBUILD_TESTS=OFF -DBUILD_PERF_TESTS=OFF" \
    /opt/livevision/bin/python -m pip wheel --no-deps --no-binary opencv-python-headless --wheel-dir /opencv \
        "$(sed --quiet 's/^opencv-python==/opencv-python-headless==/p' requirements.lock)"
COPY pyproject.toml README.md LICENSE ./
COPY livevision livevision
COPY configs configs
COPY weights weights
# The builder has an environment of its own, so that none of its packages count as installed below.
RUN python3 -m venv /builder && \
    /builder/bin/pip install --constraint limits.txt hatchling && \
    /builder/bin/python -m hatchling build -t wheel -d /wheels
RUN /opt/livevision/bin/python -m pip install --constraint limits.txt "$(echo /wheels/*.whl)[${EXTRAS}]" && \
    /opt/livevision/bin/python -m pip uninstall --yes opencv-python && \
    /opt/livevision/bin/python -m pip install --no-deps /opencv/*.whl

FROM jetson
RUN groupadd --gid 10001 livevision && \
    useradd --uid 10001 --gid 10001 --groups video --home-dir /data --no-create-home \
        --shell /usr/sbin/nologin livevision && \
    install --directory --owner=10001 --group=10001 --mode=0750 /data /cache
COPY --from=build /opt/livevision /opt/livevision
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=all \
    PATH=/opt/livevision/bin:$PATH \
    HOME=/data \
    XDG_CACHE_HOME=/cache \
    XDG_DATA_HOME=/data \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# By name, so that the user's groups count: the decoder's devices belong to "video".
USER livevision
WORKDIR /data
VOLUME ["/data", "/cache"]
EXPOSE 8080
STOPSIGNAL SIGTERM
# The first start builds TensorRT's plans, which takes minutes; /cache keeps them.
HEALTHCHECK --interval=30s --timeout=10s --start-period=30m --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8080/healthz', timeout=5)"]
ENTRYPOINT ["livevision"]
CMD ["--config", "/etc/livevision/run.yaml", "--log-format", "json"]
