# The worker image of Dataflow and Flink, which launches jobs as well: the same code, packages and weights on both.
#   docker build -t REGION-docker.pkg.dev/PROJECT/REPOSITORY/cinematic-photos:TAG .
#   docker build --build-arg GPU=on ...    with CUDA's libraries, 4 GB more
FROM gcr.io/dataflow-templates-base/python311-template-launcher-base:latest AS launcher

FROM python:3.11-slim-bookworm
ARG GPU=off

RUN apt-get update \
    && apt-get install -y --no-install-recommends libegl1 libgl1-mesa-dri libopengl0 \
    && rm -rf /var/lib/apt/lists/* \
    # The driver of a GPU comes from the machine, without this line that tells libEGL of it. Where it is missing, Mesa is next.
    && mkdir -p /usr/share/glvnd/egl_vendor.d \
    && echo '{"file_format_version": "1.0.0", "ICD": {"library_path": "libEGL_nvidia.so.0"}}' \
        > /usr/share/glvnd/egl_vendor.d/10_nvidia.json
# Where Dataflow puts that driver. Processes that share a card must not each take all of its memory.
ENV LD_LIBRARY_PATH=/usr/local/nvidia/lib64 TF_FORCE_GPU_ALLOW_GROWTH=true

# Beam's boot program, of the version that requirements.lock pins; and what a flex template is launched by.
COPY --from=apache/beam_python3.11_sdk:2.77.0 /opt/apache/beam /opt/apache/beam
COPY --from=launcher /opt/google/dataflow/python_template_launcher /opt/google/dataflow/python_template_launcher

WORKDIR /opt/cinematic-photos
COPY requirements.lock requirements-gpu.lock ./
RUN pip install --no-cache-dir --requirement requirements.lock \
    && if [ "$GPU" = on ]; then pip install --no-cache-dir --no-deps --requirement requirements-gpu.lock; fi
COPY setup.py pyproject.toml MANIFEST.in README.md LICENSE source/
COPY beam_pipeline source/beam_pipeline
COPY transforms source/transforms
COPY models source/models
COPY renderer source/renderer
COPY flex_template.py ./
# The source goes: a launcher that found it beside itself would run that and not what is installed.
RUN pip install --no-cache-dir --no-deps --no-build-isolation ./source \
    && rm -rf source \
    # compiles what numba caches: two CPU seconds, which a worker with another kind of CPU spends again
    && python -m beam_pipeline.samples /tmp/samples \
    && cinematic-photos render --photo /tmp/samples/astronaut.jpg --output /tmp/warm.mp4 --width 128 \
    && rm -rf /tmp/samples /tmp/warm.mp4

ENV FLEX_TEMPLATE_PYTHON_PY_FILE=/opt/cinematic-photos/flex_template.py
ENTRYPOINT ["/opt/apache/beam/boot"]
