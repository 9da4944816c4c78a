# Serve a model over HTTP, on a CPU or a GPU:
#
#   docker build -t dia .
#   docker run --rm -p 127.0.0.1:8000:8000 -v dia:/data dia
#   docker run --rm -p 127.0.0.1:8000:8000 -v dia:/data --gpus all dia nari-labs/Dia-1.6B-0626 host=0.0.0.0
#
# The volume holds voices and downloaded models. Inside, the server listens to every address of the container; what
# `-p` publishes decides who reaches it. The wheel of torch runs on both kinds of machine; the build argument
# TORCH_INDEX names an index of wheels for CPUs only, which are smaller.
ARG PYTHON=3.12

FROM python:${PYTHON}-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends build-essential && rm -rf /var/lib/apt/lists/*
ARG TORCH_INDEX=""
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY dia dia
COPY configs configs
COPY recipes recipes
COPY data data
COPY eval eval
RUN python -m venv /opt/dia \
    && if [ -n "$TORCH_INDEX" ]; then \
        /opt/dia/bin/pip install --no-cache-dir -c constraints.txt --index-url "$TORCH_INDEX" torch torchaudio; \
    fi \
    && /opt/dia/bin/pip install --no-cache-dir -c constraints.txt '.[serve,evaluation]'

FROM python:${PYTHON}-slim
# g++ compiles the products of quantized weights for the processor that serves
RUN apt-get update && apt-get install -y --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home dia && install -d -o dia /data
COPY --from=build /opt/dia /opt/dia
ENV PATH=/opt/dia/bin:$PATH DIA_HOME=/data HF_HOME=/data/huggingface PYTHONUNBUFFERED=1
USER dia
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=30s --start-period=120s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health')"]
ENTRYPOINT ["dia-serve"]
CMD ["dia_open", "host=0.0.0.0"]
