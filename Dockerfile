# Embed, evaluate, index, search and serve in a container. Training needs MXNet and is left out.
#
#   docker build -t lifted .
#   docker build -t lifted:gpu --build-arg RUNTIME=serve-gpu .    # NVIDIA; run it with --gpus all
#   docker run --rm -v "$PWD:/data" --user "$(id -u)" lifted embed model.onnx photos --out embeddings
#   docker run --rm -v "$PWD:/data:ro" -p 127.0.0.1:8080:8080 lifted serve model.onnx --host 0.0.0.0

ARG PYTHON=3.12

FROM python:${PYTHON}-slim AS build
# serve: CPUs; serve-openvino: CPUs, with Intel's kernels; serve-gpu: NVIDIA GPUs, with CUDA's libraries
ARG RUNTIME=serve
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY .ci/constraints-serve.txt .ci/
COPY gluon_lifted gluon_lifted
COPY export export
COPY serve_cli serve_cli
RUN python -m venv --without-pip /opt/lifted && \
    pip --python /opt/lifted/bin/python install --no-cache-dir -c .ci/constraints-serve.txt \
      ".[${RUNTIME},http,postgres,remote,report]"

FROM python:${PYTHON}-slim
LABEL org.opencontainers.image.title="lifted" org.opencontainers.image.licenses="Apache-2.0"
# The same user as in docs/recipes/kubernetes.yaml, as a number that runAsNonRoot can check
RUN groupadd --gid 10001 lifted && \
    useradd --uid 10001 --gid lifted --create-home lifted && \
    install --directory --owner lifted --group lifted /data
COPY --from=build /opt/lifted /opt/lifted
ENV PATH=/opt/lifted/bin:$PATH PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /data
EXPOSE 8080
# Ask `lifted serve` on its default port. All other commands count as healthy.
HEALTHCHECK --interval=10s --timeout=5s --start-period=2m --retries=3 \
    CMD ["sh", "-c", "! grep -qxz serve /proc/1/cmdline || \
      python -c 'from urllib.request import urlopen; urlopen(\"http://127.0.0.1:8080/ready\", timeout=4)'"]
ENTRYPOINT ["lifted"]
CMD ["--help"]
