# One image with every binary; the command says which one runs.

FROM golang:1.26@sha256:eb36c1664dd974cde625f736e02c204383deebe03977365caaec5bf49f794348 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
# Static: the image below has no C library. The embedded ClickHouse needs one, so
# in containers ClickHouse is a server of its own.
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 go build -trimpath -ldflags=-s -o /out/ ./cmd/...

# busybox, because a health check of the simulated Keepa wants wget.
FROM busybox:1.37.0@sha256:bdf57e528e45e4433820e045b29b4597825a1c9e38353532d90a01445013f82e
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/ /bin/
# Nobody in particular: there is no user database here, and nothing to own.
USER 65532:65532
ENTRYPOINT []
CMD ["/bin/ratchet", "--help"]
