-- Every question about deals reads these columns of all deals. ZSTD saved half a megabyte in 100,000 deals, and took more time to
-- unpack than the rest of the table. Parts that are there keep their codec until they are merged.
ALTER TABLE deal_facts
    MODIFY COLUMN newest_profit SimpleAggregateFunction(max, UInt128) CODEC(LZ4),
    MODIFY COLUMN newest_sale_price SimpleAggregateFunction(max, UInt128) CODEC(LZ4),
    MODIFY COLUMN newest_check SimpleAggregateFunction(max, UInt128) CODEC(LZ4);
