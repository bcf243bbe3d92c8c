package replay

import "context"

// Warehouse is what a replay needs of ClickHouse.
type Warehouse interface{}

func (r *Replay) source(ctx context.Context, _ Warehouse) (source, error) {
	return openStream(ctx, r.b, r.o, &r.Record)
}
