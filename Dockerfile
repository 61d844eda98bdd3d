# One image for every service; the command says which: `tapewatch worker`, `alerter`, `dashboard` ...
FROM python:3.11-slim

# pip's default torch for Linux carries the CUDA libraries, several gigabytes. For the CPU build
# name an index that has it: docker build --build-arg PIP_EXTRA_INDEX_URL=... (pip reads it by that
# name). Build arguments stay in the image's history: put no credentials in it.
ARG PIP_EXTRA_INDEX_URL

ENV PYTHONUNBUFFERED=1 \
    PIP_ROOT_USER_ACTION=ignore

RUN --mount=type=bind,target=/src,rw \
    --mount=type=cache,target=/root/.cache/pip \
    pip install /src

# The folder of the weights registry is there so that a new volume over it is the user's.
RUN useradd --create-home --uid 10001 tapewatch && \
    install --directory --owner=tapewatch /home/tapewatch/models
USER tapewatch
WORKDIR /home/tapewatch
ENTRYPOINT ["tapewatch"]
CMD ["--help"]
