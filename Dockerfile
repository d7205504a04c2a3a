# Rollcall as an image: built here from the source, then nothing but the program on a small Debian.
#
#   docker build --tag rollcall .
#
# docs/deploying.md says how to run it; compose.yaml has it with PostgreSQL.

FROM rust:1-bookworm AS build
# Node makes the browser's part small.
COPY --from=node:22-bookworm-slim /usr/local/bin/node /usr/local/bin/
COPY --from=node:22-bookworm-slim /usr/local/lib/node_modules /usr/local/lib/node_modules
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
WORKDIR /rollcall
COPY . .
# What cargo and our own commands keep between two builds stays out of the image.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/root/.cache \
    --mount=type=cache,target=/rollcall/target \
    cargo xtask bundle \
    && cargo build --package rollcall-server --release \
    && install -m 755 target/release/rollcall /usr/local/bin/rollcall

FROM debian:bookworm-slim
# ca-certificates: identity providers, receivers of events and mail servers are reached by TLS.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin rollcall \
    && install -d -o rollcall -g rollcall -m 700 /data
COPY --from=build /usr/local/bin/rollcall /usr/local/bin/rollcall
USER rollcall
ENV ROLLCALL_DATA_DIR=/data \
    ROLLCALL_LISTEN=0.0.0.0:8080
VOLUME /data
EXPOSE 8080
# SIGTERM lets what is being answered finish.
STOPSIGNAL SIGTERM
ENTRYPOINT ["rollcall"]
CMD ["serve"]
