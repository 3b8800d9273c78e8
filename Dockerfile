# The server only. PostgreSQL runs in another container: see compose.yaml.
#
#   docker build --tag oneseat .

FROM rust:1.95.0-slim-bookworm AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev libpq-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY Cargo.toml Cargo.lock build.rs ./
COPY clients clients
COPY migrations migrations
COPY src src
COPY static static
COPY templates templates
RUN cargo build --release --locked && strip target/release/oneseat

FROM debian:bookworm-slim
# Certificates, to verify the SMTP server.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates libpq5 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /build/target/release/oneseat /usr/local/bin/oneseat
# A number, so that an orchestrator sees that the user is not root. The user owns no files.
USER 10001:10001
# oneseat refuses to start until the operator sets TLS, trusted proxies or ONESEAT_INSECURE_HTTP.
ENV ONESEAT_BIND=0.0.0.0:8080
EXPOSE 8080
ENTRYPOINT ["oneseat"]
CMD ["serve"]
