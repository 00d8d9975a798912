import { metrics } from '@opentelemetry/api';
import { PrometheusSerializer } from '@opentelemetry/exporter-prometheus';
import {
  AggregationTemporality,
  createAllowListAttributesProcessor,
  InstrumentType,
  MeterProvider,
  MetricReader,
  type ViewOptions,
} from '@opentelemetry/sdk-metrics';
import { AppError } from '../domain/errors.ts';
import { METRICS, type MetricKind, type MetricSpec } from './metric-table.ts';

/**
 * The metrics of this process as text for Prometheus. Loaded only where they are asked for: the SDK
 * takes memory.
 */
export interface Exposition {
  /** Text exposition format 0.0.4. Every metric has its help and type, measured or not. */
  render(): Promise<string>;
  stop(): Promise<void>;
}

export const EXPOSITION_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** Series of one metric; beyond it OpenTelemetry puts all others into one that says `otel_metric_overflow`. */
const MAX_SERIES = 1000;

/** What Prometheus calls them. */
const TYPES: Readonly<Record<MetricKind, string>> = {
  counter: 'counter',
  gauge: 'gauge',
  'observed-gauge': 'gauge',
  histogram: 'histogram',
};

/** Asked whenever somebody scrapes; nothing runs in between. */
class PullReader extends MetricReader {
  constructor() {
    // What an observed gauge does not say any more must go: cumulative series would stay for ever.
    const temporality = (type: InstrumentType) =>
      type === InstrumentType.OBSERVABLE_GAUGE
        ? AggregationTemporality.DELTA
        : AggregationTemporality.CUMULATIVE;
    super({ aggregationTemporalitySelector: temporality });
  }

  protected override async onForceFlush(): Promise<void> {}
  protected override async onShutdown(): Promise<void> {}
}

/** Begins to collect. @throws config `MetricsTaken` where another OpenTelemetry SDK was loaded into this process */
export function startExposition(): Exposition {
  const reader = new PullReader();
  const provider = new MeterProvider({ readers: [reader], views: Object.entries(METRICS).map(viewOf) });
  if (!metrics.setGlobalMeterProvider(provider)) throw metricsTaken();
  // Neither unit nor scope: names stay exactly as they are in the table.
  const serializer = new PrometheusSerializer('', false, undefined, true, true);
  return {
    async render() {
      const { resourceMetrics } = await reader.collect();
      const measured = serializer.serialize(resourceMetrics);
      return measured.startsWith('# no registered') ? silentMetrics('') : measured + silentMetrics(measured);
    },
    async stop() {
      metrics.disable();
      await provider.shutdown();
    },
  };
}

function viewOf([instrumentName, spec]: [string, MetricSpec]): ViewOptions {
  return {
    instrumentName,
    aggregationCardinalityLimit: MAX_SERIES,
    attributesProcessors: [createAllowListAttributesProcessor([...spec.labels])],
  };
}

/** Help and type of metrics that have no series yet: a dashboard can be built before the first failure. */
function silentMetrics(text: string): string {
  return Object.entries(METRICS)
    .filter(([name]) => !text.includes(`# TYPE ${name} `))
    .map(([name, { help, kind }]) => `# HELP ${name} ${help}\n# TYPE ${name} ${TYPES[kind]}\n`)
    .join('');
}

function metricsTaken(): AppError {
  return new AppError({
    code: 'MetricsTaken',
    kind: 'config',
    message:
      'Another OpenTelemetry SDK collects the metrics of this process, so they cannot be shown at /metrics too.',
    hint: 'Leave out --listen, or do not load the other SDK (NODE_OPTIONS).',
  });
}
