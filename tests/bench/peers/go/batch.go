package main

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Amounts go as text, so that they never pass through a float.
const insert = `INSERT INTO winnow.event (bucket, event_hash, client_id, metric, amount, event_time, stream_id,
    origin_partition, origin_offset)
SELECT e.bucket, e.hash, e.client_id, e.metric, e.amount::numeric, e.time, 1, e.partition, e.message_offset
FROM unnest($1::timestamptz[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::int4[],
    $8::int8[]) AS e (bucket, hash, client_id, metric, amount, time, partition, message_offset)
ON CONFLICT DO NOTHING`

type event struct {
	Hash     pgtype.UUID `json:"event_hash"`
	Bucket   time.Time   `json:"bucket"`
	ClientID string      `json:"client_id"`
	Metric   string      `json:"metric"`
	Amount   string      `json:"amount"`
	Time     time.Time   `json:"event_time"`

	partition int32
	offset    int64
}

// batch is a set of events, and their columns while they are stored; its memory is used again.
type batch struct {
	events     []event
	buckets    []time.Time
	hashes     []pgtype.UUID
	clients    []string
	metrics    []string
	amounts    []string
	times      []time.Time
	partitions []int32
	offsets    []int64
}

func newBatch(rows int) *batch {
	return &batch{events: make([]event, 0, rows)}
}

func (b *batch) reset() {
	b.events = b.events[:0]
	b.buckets, b.hashes, b.times = b.buckets[:0], b.hashes[:0], b.times[:0]
	b.clients, b.metrics, b.amounts = b.clients[:0], b.metrics[:0], b.amounts[:0]
	b.partitions, b.offsets = b.partitions[:0], b.offsets[:0]
}

func (b *batch) add(record *kgo.Record) error {
	next := event{partition: record.Partition, offset: record.Offset}
	if err := json.Unmarshal(record.Value, &next); err != nil {
		return err
	}
	b.events = append(b.events, next)
	return nil
}

func byKey(a, b event) int {
	if order := a.Bucket.Compare(b.Bucket); order != 0 {
		return order
	}
	return bytes.Compare(a.Hash.Bytes[:], b.Hash.Bytes[:])
}

// store inserts in the order of the key, so that two workers with the same events cannot deadlock.
func (b *batch) store(ctx context.Context, database *pgx.Conn) error {
	slices.SortFunc(b.events, byKey)
	for i := range b.events {
		e := &b.events[i]
		b.buckets = append(b.buckets, e.Bucket)
		b.hashes = append(b.hashes, e.Hash)
		b.clients = append(b.clients, e.ClientID)
		b.metrics = append(b.metrics, e.Metric)
		b.amounts = append(b.amounts, e.Amount)
		b.times = append(b.times, e.Time)
		b.partitions = append(b.partitions, e.partition)
		b.offsets = append(b.offsets, e.offset)
	}
	_, err := database.Exec(ctx, insert, b.buckets, b.hashes, b.clients, b.metrics, b.amounts, b.times,
		b.partitions, b.offsets)
	return err
}
