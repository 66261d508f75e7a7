# The image that every pod of an experiment runs; `surreal image build` builds it, docs/image.md says the rest.
# By hand, in a checkout: docker build --build-arg VERSION=0.1.0 --build-arg TORCH_INDEX=URL --tag surreal:0.1.0 .

# An index of images, for amd64 and arm64. Debian 12, so that the wheels of the lock files find their glibc.
FROM docker.io/library/python:3.11.16-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b

# The user is there for whoever starts the image without Kubernetes; pods say the same number themselves.
RUN groupadd --gid 10001 surreal \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin surreal \
 && mkdir -p /surreal/run /surreal/code \
 && chown 10001:10001 /surreal/run /surreal/code

ENV PATH=/opt/surreal/bin:$PATH \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1

# torch first: it is the largest by far and changes least. cpu: 0.2 GB to download, from PyTorch's own index of CPU
# builds, which TORCH_INDEX names. cuda: gigabytes, the build for GPUs with the libraries it needs, from the usual index.
# Every file is held to its hash in the lock, whoever sends it.
ARG TORCH=cpu
ARG TORCH_INDEX
COPY orchestrator/container/torch-${TORCH}.txt /opt/locks/torch.txt
RUN python3 -m venv /opt/surreal \
 && pip install --no-deps --only-binary :all: --require-hashes ${TORCH_INDEX:+--extra-index-url="${TORCH_INDEX}"} \
      -r /opt/locks/torch.txt

COPY orchestrator/container/requirements.txt /opt/locks/requirements.txt
RUN pip install --no-deps --only-binary :all: --require-hashes -r /opt/locks/requirements.txt \
 && pip check

# What changes most comes last: a rebuild after a change of the source begins here.
WORKDIR /opt/surreal/lib/python3.11/site-packages
COPY src/surreal/__init__.py src/surreal/py.typed surreal/
COPY algorithms surreal/algorithms
COPY charts surreal/charts
COPY cli surreal/cli
COPY orchestrator surreal/orchestrator
COPY protocol surreal/protocol
COPY provisioner surreal/provisioner
ARG VERSION
# Nothing can be written when it runs, so what Python would compile then is compiled here.
RUN mkdir "surreal-${VERSION:?give --build-arg VERSION=...}.dist-info" \
 && printf 'Metadata-Version: 2.1\nName: surreal\nVersion: %s\n' "${VERSION}" > "surreal-${VERSION}.dist-info/METADATA" \
 && printf '#!/opt/surreal/bin/python -P\nfrom surreal.cli.main import main\nmain()\n' > /opt/surreal/bin/surreal \
 && chmod 755 /opt/surreal/bin/surreal \
 && python -m compileall -q --invalidation-mode unchecked-hash surreal

# MUJOCO_GL: training draws nothing, and a library for drawing that is not there must not hinder `import mujoco`.
ENV HOME=/tmp \
    MUJOCO_GL=disabled \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

LABEL org.opencontainers.image.title="surreal" \
      org.opencontainers.image.description="One process of a distributed reinforcement learning experiment" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"

USER 10001:10001
WORKDIR /surreal/run
# Kubernetes looks after pods by its own probes, and a process of a run reports itself to the run.
HEALTHCHECK NONE
# The worker is made to be process 1: it handles SIGTERM, and has no children to reap.
ENTRYPOINT ["python", "-P", "-m", "surreal.protocol.worker"]
