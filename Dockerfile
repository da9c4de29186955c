# syntax=docker/dockerfile:1
# Run it with nothing writable but the data:
#   docker run --read-only --tmpfs /tmp --cap-drop ALL --volume sluice:/data --publish 127.0.0.1:8000:8000 sluice

FROM rust:1.95.0-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/cache --mount=type=cache,target=/usr/local/cargo/registry \
    SLUICE_CACHE=/cache ./dev dist

FROM debian:bookworm-slim
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates libstdc++6 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin sluice \
    && install --directory --owner sluice --group sluice --mode 0700 /data
# The server finds DuckDB in ../lib beside its own folder.
COPY --from=build /src/target/dist /opt/sluice
ENV PATH=/opt/sluice/bin:$PATH
USER 10001:10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["sluice", "doctor", "--health", "http://127.0.0.1:8000"]
ENTRYPOINT ["sluice"]
CMD ["serve", "--data-dir", "/data", "--listen", "0.0.0.0:8000"]
