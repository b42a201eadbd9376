package main

import (
	"context"

	"github.com/jaegertracing/jaeger/cmd/query/app"
	v1query "github.com/jaegertracing/jaeger/cmd/query/app/querysvc"
	v2query "github.com/jaegertracing/jaeger/cmd/query/app/querysvc/v2/querysvc"
	"github.com/jaegertracing/jaeger/pkg/telemetry"
	"github.com/jaegertracing/jaeger/pkg/tenancy"
	"github.com/jaegertracing/jaeger/plugin/metricstore/disabled"
	"github.com/jaegertracing/jaeger/plugin/storage/memory"
	"github.com/jaegertracing/jaeger/storage_v2/v1adapter"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
)

// config of the exporter: where the query API listens, and how many traces are kept before the oldest go.
type config struct {
	Endpoint  string `mapstructure:"endpoint"`
	MaxTraces int    `mapstructure:"max_traces"`
}

func jaegerFactory() exporter.Factory {
	defaults := func() component.Config { return &config{Endpoint: "0.0.0.0:16686", MaxTraces: 20000} }
	return exporter.NewFactory(
		component.MustNewType("jaeger_memory"), defaults, exporter.WithTraces(newTraces, component.StabilityLevelBeta),
	)
}

func newTraces(ctx context.Context, set exporter.Settings, from component.Config) (exporter.Traces, error) {
	wanted := from.(*config)
	store := memory.WithConfiguration(memory.Configuration{MaxTraces: wanted.MaxTraces})
	var server *app.Server
	start := func(ctx context.Context, host component.Host) (err error) {
		server, err = newServer(ctx, wanted, store, telemetry.FromOtelComponent(set.TelemetrySettings, host))
		if err != nil {
			return err
		}
		return server.Start(ctx)
	}
	stop := func(context.Context) error {
		if server == nil {
			return nil
		}
		return server.Close()
	}
	write := v1adapter.NewTraceWriter(store).WriteTraces
	return exporterhelper.NewTraces(ctx, set, from, write, exporterhelper.WithStart(start), exporterhelper.WithShutdown(stop))
}

func newServer(ctx context.Context, wanted *config, store *memory.Store, set telemetry.Settings) (*app.Server, error) {
	options := app.DefaultQueryOptions()
	options.HTTP.Endpoint = wanted.Endpoint
	options.GRPC.NetAddr.Endpoint = "127.0.0.1:16685"
	reader, dependencies := v1adapter.NewTraceReader(store), v1adapter.NewDependencyReader(store)
	metrics, err := disabled.NewMetricsReader()
	if err != nil {
		return nil, err
	}
	return app.NewServer(
		ctx,
		v1query.NewQueryService(reader, dependencies, v1query.QueryServiceOptions{}),
		v2query.NewQueryService(reader, dependencies, v2query.QueryServiceOptions{}),
		metrics,
		&options,
		tenancy.NewManager(&tenancy.Options{}),
		set,
	)
}
