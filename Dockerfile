# syntax=docker/dockerfile:1
# The sandbox, and a worker of bulk runs:
#   docker build --target sandbox --tag publitrac-sandbox .
#   docker build --target worker --tag publitrac-worker .

FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY pyproject.toml README.md LICENSE pytest_publitrac.py ./
COPY publitrac_async ./publitrac_async

FROM build AS build-sandbox
RUN python -m venv /opt/app && /opt/app/bin/pip install ".[cli,sandbox]"

FROM build AS build-worker
RUN python -m venv /opt/app && /opt/app/bin/pip install ".[cli,docket]"

FROM python:3.13-slim AS base
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin publitrac
ENV PATH=/opt/app/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /tmp
USER 10001
ENTRYPOINT ["publitrac-async"]

FROM base AS worker
COPY --from=build-worker /opt/app /opt/app
ENV PUBLITRAC_WORKER_HEALTH_PORT=8080
# http.client: urllib would ask a proxy of the environment.
HEALTHCHECK --interval=30s --timeout=5s --start-period=40s CMD ["python", "-c", "import http.client, os; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['PUBLITRAC_WORKER_HEALTH_PORT']), timeout=4); c.request('GET', '/ready'); raise SystemExit(c.getresponse().status != 200)"]
CMD ["worker", "--via", "v2"]

FROM base AS sandbox
COPY --from=build-sandbox /opt/app /opt/app
EXPOSE 8787
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s CMD ["python", "-c", "import http.client; c = http.client.HTTPConnection('127.0.0.1', 8787, timeout=4); c.request('GET', '/_sandbox/clock'); raise SystemExit(c.getresponse().status != 200)"]
CMD ["sandbox", "--host", "0.0.0.0", "--port", "8787", "--allow-host", "sandbox"]
