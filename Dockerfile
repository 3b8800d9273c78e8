# The server alone: PostgreSQL is another container, see compose.yaml.
#
#   docker build --tag oneseat .

FROM rust:1.95.0-slim-bookworm AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev libpq-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY Cargo.toml Cargo.lock build.rs ./
COPY migrations migrations
COPY src src
COPY static static
COPY templates templates
RUN cargo build --release --locked && strip target/release/oneseat

FROM debian:bookworm-slim
# Certificates: to know the SMTP server.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates libpq5 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /build/target/release/oneseat /usr/local/bin/oneseat
# A number, so that an orchestrator sees that it is not root. It owns nothing.
USER 10001:10001
# Refused without TLS, trusted proxies or a word that the clear is meant: the operator says which.
ENV ONESEAT_BIND=0.0.0.0:8080
EXPOSE 8080
ENTRYPOINT ["oneseat"]
CMD ["serve"]
