// Command peers reads canonical events from a Kafka topic into PostgreSQL: one of the contenders of
// make bench-peers, written as one would write it for production without winnow.
//
//	peers BROKERS TOPIC GROUP CONNINFO WORKERS
//
// Each worker is a member of the consumer group with a connection of its own. Offsets are committed after the
// transaction; what is read again after a crash is dropped by ON CONFLICT DO NOTHING. A message that cannot be
// stored ends the program: going on would lose it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
)

func main() {
	if len(os.Args) != 6 {
		fmt.Fprintln(os.Stderr, "usage: peers BROKERS TOPIC GROUP CONNINFO WORKERS")
		os.Exit(64)
	}
	workers, err := strconv.Atoi(os.Args[5])
	if err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(64)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := runAll(ctx, workers); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

// runAll ends when the first worker fails or the context is done.
func runAll(ctx context.Context, workers int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			if err := work(ctx, os.Args[1], os.Args[2], os.Args[3], os.Args[4]); err != nil {
				cancel(err)
			}
		})
	}
	group.Wait()
	return context.Cause(ctx)
}
