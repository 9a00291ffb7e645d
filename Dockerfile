# The laptop stack in an image, where Jaeger's all-in-one listened. docs/container.md says how it is run, and who may reach it.

ARG PYTHON=3.11

FROM python:${PYTHON}-slim AS ui
WORKDIR /clew
COPY requirements-node.txt .
RUN pip install --no-cache-dir --only-binary=:all: -r requirements-node.txt
COPY web/package.json web/package-lock.json web/
RUN cd web && npm ci
COPY web web
RUN cd web && npm run -s build

FROM python:${PYTHON}-slim AS libraries
COPY requirements.txt requirements-local.txt ./
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --only-binary=:all: -r requirements-local.txt

FROM python:${PYTHON}-slim
RUN useradd --system --uid 10001 --no-create-home clew && install -d -o clew -g clew /data
WORKDIR /clew
COPY --from=libraries /venv /venv
COPY .chalice/config.json .chalice/config.json
COPY app.py LICENSE ./
COPY chalicelib chalicelib
COPY infra infra
COPY local local
COPY --from=ui /clew/chalicelib/present/static chalicelib/present/static
ENV PATH=/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 HOST=0.0.0.0 PORT=8000 DATA_DIR=/data
USER clew
VOLUME /data
EXPOSE 8000 4317 4318 5778 9411 14268 16686 5775/udp 6831/udp 6832/udp
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["python", "-c", \
    "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/health', timeout=4)"]
CMD ["python", "-m", "local"]
