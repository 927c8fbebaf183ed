package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"
)

const batchRows = 10000

func connect(brokers, topic, group string) (*kgo.Client, error) {
	return kgo.NewClient(
		kgo.SeedBrokers(brokers),
		kgo.ConsumeTopics(topic),
		kgo.ConsumerGroup(group),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(),
		// No partition is taken away between a batch's transaction and the commit of its offsets.
		kgo.BlockRebalanceOnPoll(),
	)
}

// work stores batches until the context is done.
func work(ctx context.Context, brokers, topic, group, conninfo string) error {
	database, err := pgx.Connect(ctx, conninfo)
	if err != nil {
		return err
	}
	defer database.Close(context.WithoutCancel(ctx))
	client, err := connect(brokers, topic, group)
	if err != nil {
		return err
	}
	defer client.CloseAllowingRebalance()
	batch := newBatch(batchRows)
	for {
		if err := step(ctx, client, database, batch); err != nil {
			return err
		}
		client.AllowRebalance()
	}
}

// step stores one batch: read, insert, commit.
func step(ctx context.Context, client *kgo.Client, database *pgx.Conn, batch *batch) error {
	fetches := client.PollRecords(ctx, batchRows)
	if err := fetches.Err(); err != nil {
		return err
	}
	batch.reset()
	for records := fetches.RecordIter(); !records.Done(); {
		record := records.Next()
		if err := batch.add(record); err != nil {
			return fmt.Errorf("partition %d, offset %d: %w", record.Partition, record.Offset, err)
		}
	}
	if err := batch.store(ctx, database); err != nil {
		return err
	}
	return client.CommitUncommittedOffsets(ctx)
}
