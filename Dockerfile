# One static binary and nothing else: no shell, no user database, no root.
FROM rust:1.95-alpine AS build
RUN apk add --no-cache musl-dev
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin gatelint

FROM scratch
COPY --from=build /src/target/release/gatelint /gatelint
USER 65534:65534
WORKDIR /configs
ENTRYPOINT ["/gatelint"]
CMD ["check", "."]
