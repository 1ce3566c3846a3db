# syntax=docker/dockerfile:1.7
# chatferry and Chromium, for a read-only root file system and a user without rights. docs/deployment.md
# says which seccomp profile it needs, and why.

FROM rust:1.95.0-slim-bookworm AS build
WORKDIR /src
COPY . .
# Registry and target folder stay between builds; what is made is copied out of them.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,sharing=locked \
    cargo build --release --locked --bin chatferry \
    && install -m 0755 target/release/chatferry /usr/local/bin/chatferry

FROM debian:12-slim
# Not pinned: a browser of last month has known holes. chromium-sandbox, the set-uid helper, is left out:
# it can't work under no-new-privileges, and Chromium takes user namespaces where it is missing.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        ca-certificates chromium fonts-dejavu-core fonts-noto-cjk fonts-noto-color-emoji tini \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 chatferry \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/chatferry --shell /usr/sbin/nologin chatferry \
    && install -d -o 10001 -g 10001 -m 0700 /var/lib/chatferry
COPY --from=build /usr/local/bin/chatferry /usr/local/bin/chatferry
COPY deploy/healthcheck /usr/local/bin/chatferry-healthcheck

# Chromium's settings and caches go where tmpfs is; its profiles, and the kept logins, lie in the data directory.
ENV CHATFERRY_DATA_DIR=/var/lib/chatferry \
    LOG_FORMAT=json \
    HOME=/tmp
USER 10001:10001
WORKDIR /var/lib/chatferry
VOLUME /var/lib/chatferry
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=6s --start-period=60s --retries=4 CMD ["chatferry-healthcheck"]
# An init of its own: Chromium leaves children behind, and somebody must reap them.
ENTRYPOINT ["tini", "--", "chatferry"]
CMD ["run"]
