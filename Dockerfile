# The worker image of Dataflow and Flink, which is the launcher's image too: the same code, packages and weights on both.
#   docker build -t REGION-docker.pkg.dev/PROJECT/REPOSITORY/cinematic-photos .
FROM python:3.11-slim-bookworm

RUN apt-get update \
    && apt-get install -y --no-install-recommends libegl1 libgl1-mesa-dri libopengl0 \
    && rm -rf /var/lib/apt/lists/*

# Beam's boot program, of the version that requirements.lock pins.
COPY --from=apache/beam_python3.11_sdk:2.77.0 /opt/apache/beam /opt/apache/beam

WORKDIR /opt/cinematic-photos
COPY requirements.lock .
RUN pip install --no-cache-dir --requirement requirements.lock
COPY setup.py pyproject.toml README.md ./
COPY beam_pipeline beam_pipeline
COPY transforms transforms
COPY models models
COPY renderer renderer
RUN pip install --no-cache-dir --no-deps --no-build-isolation . \
    # compiles what numba caches, so that no worker pays for it
    && python -m beam_pipeline.samples /tmp/samples \
    && cinematic-photos render --photo /tmp/samples/astronaut.jpg --output /tmp/warm.mp4 --width 128 \
    && rm -rf /tmp/samples /tmp/warm.mp4

ENTRYPOINT ["/opt/apache/beam/boot"]
