# syntax=docker/dockerfile:1
# Two targets:
#   docker build --target cpu  -t night-patrol:cpu  .
#   docker build --target cuda -t night-patrol:cuda .   (run with --gpus all)

FROM node:20-bookworm-slim AS pages
WORKDIR /src/web
COPY web/package.json web/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY web/ ./
RUN npm run build

FROM python:3.11-slim-bookworm AS wheel
WORKDIR /src
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY patrol/ patrol/
COPY api/ api/
COPY models/ models/
COPY flightplans/ flightplans/
COPY --from=pages /src/api/static/ api/static/
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.11-slim-bookworm AS cpu
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*
COPY requirements.lock /tmp/
RUN pip install --no-cache-dir --no-compile --require-hashes -r /tmp/requirements.lock
COPY --from=wheel /wheels/ /tmp/wheels/
RUN pip install --no-cache-dir --no-compile --no-deps /tmp/wheels/*.whl \
    && useradd --system --create-home --home-dir /var/lib/night-patrol patrol
USER patrol
WORKDIR /var/lib/night-patrol
ENV NIGHT_PATROL_STATION_DATA_DIR=/var/lib/night-patrol/station \
    NIGHT_PATROL_EDGE_DATA_DIR=/var/lib/night-patrol/edge \
    PYTHONUNBUFFERED=1
VOLUME /var/lib/night-patrol
EXPOSE 8400
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8400/api/v1/health', timeout=4)"]
ENTRYPOINT ["patrol"]
CMD ["serve", "--host", "0.0.0.0"]

FROM cpu AS cuda
USER root
# The GPU build takes the place of the CPU build: both are the module `onnxruntime`.
RUN pip uninstall --yes onnxruntime \
    && pip install --no-cache-dir --no-compile "onnxruntime-gpu[cuda,cudnn]==1.31.1"
USER patrol
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
