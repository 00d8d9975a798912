import {
  type Attributes,
  type Counter,
  type Gauge,
  type Histogram,
  type Meter,
  metrics,
} from '@opentelemetry/api';
import {
  type CounterName,
  type GaugeName,
  type HistogramName,
  METRICS,
  type MetricName,
  type MetricSpec,
} from './metric-table.ts';

/** Name of the instrumentation scope. */
export const METER = 'pitrail';

/** Values of labels. */
export type Labels = Attributes;

/** Adds to a counter. Costs next to nothing where no exposition was started. */
export function count(name: CounterName, by: number, labels: Labels): void {
  instruments().counter(name).add(by, labels);
}

/** Records one measurement in a histogram. */
export function measure(name: HistogramName, value: number, labels: Labels): void {
  instruments().histogram(name).record(value, labels);
}

/** Sets a gauge. */
export function set(name: GaugeName, value: number, labels: Labels): void {
  instruments().gauge(name).record(value, labels);
}

/** The last failure of each place: one series, which the next failure replaces. */
const failures = new Map<string, { readonly atSeconds: number; readonly labels: Labels }>();

/** Remembers the last failure of a place, for `binlog_sync_last_failure_timestamp_seconds`. */
export function noteFailure(place: string, atSeconds: number, labels: Labels): void {
  failures.set(place, { atSeconds, labels });
}

/** The instruments of one meter, each made when it is first used. */
class Instruments {
  readonly #meter: Meter;
  readonly #made = new Map<MetricName, Counter | Gauge | Histogram>();

  constructor(meter: Meter) {
    this.#meter = meter;
    const name = 'binlog_sync_last_failure_timestamp_seconds';
    meter.createObservableGauge(name, { description: METRICS[name].help }).addCallback((result) => {
      for (const { atSeconds, labels } of failures.values()) result.observe(atSeconds, labels);
    });
  }

  counter(name: CounterName): Counter {
    return this.#instrument(name, (description) => this.#meter.createCounter(name, { description }));
  }

  gauge(name: GaugeName): Gauge {
    return this.#instrument(name, (description) => this.#meter.createGauge(name, { description }));
  }

  histogram(name: HistogramName): Histogram {
    const advice = { explicitBucketBoundaries: [...METRICS[name].buckets] };
    return this.#instrument(name, (description) =>
      this.#meter.createHistogram(name, { description, advice }),
    );
  }

  #instrument<T extends Counter | Gauge | Histogram>(name: MetricName, make: (help: string) => T): T {
    const known = this.#made.get(name) as T | undefined;
    if (known !== undefined) return known;
    const spec: MetricSpec = METRICS[name];
    const made = make(spec.help);
    this.#made.set(name, made);
    return made;
  }
}

const made = new WeakMap<object, Instruments>();

/** A provider can be set after the first use: its instruments are others than those of the one before. */
function instruments(): Instruments {
  const provider = metrics.getMeterProvider();
  const known = made.get(provider) ?? new Instruments(provider.getMeter(METER));
  made.set(provider, known);
  return known;
}
