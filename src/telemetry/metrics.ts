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
  type ObservedGaugeName,
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

interface Series {
  readonly value: number;
  readonly labels: Labels;
}

/** What the observed gauges show, by metric and series. */
const shown = new Map<ObservedGaugeName, Map<string, Series>>();

/** Shows a value until the next one of its series takes its place, or it is hidden. `series` tells it apart from others. */
export function show(
  name: ObservedGaugeName,
  value: number,
  labels: Labels,
  series = JSON.stringify(labels),
): void {
  const known = shown.get(name) ?? new Map<string, Series>();
  known.set(series, { value, labels });
  shown.set(name, known);
  instruments();
}

/** Hides every series of the observed gauges whose labels are these, among others. */
export function hide(labels: Labels): void {
  for (const all of shown.values()) {
    for (const [series, { labels: of }] of all) {
      if (Object.entries(labels).every(([label, value]) => of[label] === value)) all.delete(series);
    }
  }
}

/** The instruments of one meter, each made when it is first used. */
class Instruments {
  readonly #meter: Meter;
  readonly #made = new Map<MetricName, Counter | Gauge | Histogram>();

  constructor(meter: Meter) {
    this.#meter = meter;
    for (const [name, { kind, help }] of Object.entries(METRICS)) {
      if (kind !== 'observed-gauge') continue;
      meter.createObservableGauge(name, { description: help }).addCallback((result) => {
        for (const { value, labels } of shown.get(name as ObservedGaugeName)?.values() ?? [])
          result.observe(value, labels);
      });
    }
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
