# livevision on CPUs, without PyTorch. In the root of a checkout:
#   docker build --file containers/cpu.Dockerfile --tag livevision:cpu .
ARG PYTHON=3.11-slim-bookworm

FROM python:${PYTHON} AS build
ARG EXTRAS=events,web
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /source
COPY requirements.lock requirements-dev.lock ./
# The tested versions, as limits: packages that nothing needs are not installed.
RUN grep --no-filename --invert-match '^-r ' requirements.lock requirements-dev.lock >limits.txt
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
    /opt/livevision/bin/python -m pip install --no-compile --constraint limits.txt \
        "$(echo /wheels/*.whl)[${EXTRAS}]"
# OpenCV without windows does not need the libraries of a desktop.
RUN /opt/livevision/bin/python -m pip uninstall --yes opencv-python && \
    /opt/livevision/bin/python -m pip install --no-compile --no-deps \
        "$(sed --quiet 's/^opencv-python==/opencv-python-headless==/p' requirements.lock)"
# A quarter of it no run needs: tests, headers, and OpenVINO's parts for GPUs and for models of other packages.
RUN cd /opt/livevision/lib/python*/site-packages && \
    find . -type d '(' -name tests -o -name test -o -name include ')' -prune -exec rm -r {} + && \
    find . -type f '(' -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' ')' -delete && \
    rm -f openvino/libs/libopenvino_intel_[gn]pu_plugin.so openvino/libs/cache.json && \
    for part in jax paddle pytorch tensorflow; do rm -f openvino/libs/libopenvino_${part}_frontend.so*; done

FROM python:${PYTHON}
RUN groupadd --gid 10001 livevision && \
    useradd --uid 10001 --gid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin livevision && \
    install --directory --owner=10001 --group=10001 --mode=0750 /data /cache
COPY --from=build /opt/livevision /opt/livevision
# Python's bytecode is written at the first start, into the volume; in the image it would be 100 MB.
ENV PATH=/opt/livevision/bin:$PATH \
    HOME=/data \
    XDG_CACHE_HOME=/cache \
    XDG_DATA_HOME=/data \
    PYTHONPYCACHEPREFIX=/cache/python \
    PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /data
VOLUME ["/data", "/cache"]
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=2m --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8080/healthz', timeout=5)"]
ENTRYPOINT ["livevision"]
CMD ["--config", "/etc/livevision/run.yaml", "--log-format", "json"]
