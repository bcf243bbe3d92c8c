# One image with every binary; the command says which one runs.

FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
# Static: the image below has no C library. The embedded ClickHouse needs one, so
# in containers ClickHouse is a server of its own.
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 go build -trimpath -ldflags=-s -o /out/ ./cmd/...

# busybox, because a health check of the simulated Keepa wants wget.
FROM busybox:1.37
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/ /bin/
# Nobody in particular: there is no user database here, and nothing to own.
USER 65532:65532
ENTRYPOINT []
CMD ["/bin/ratchet", "--help"]
