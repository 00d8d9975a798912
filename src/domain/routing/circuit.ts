import { assertNever } from '../errors.ts';
import { type Backoff, backoffCeilingMs, fullJitterMs } from './backoff.ts';

/** When a store counts as failed, and how it is tried again. */
export interface CircuitSettings {
  /** So many failures in a row open the circuit. */
  readonly threshold: number;
  /** Delay before a probe, with full jitter, on top of `minProbeDelayMs`. */
  readonly probe: Backoff;
  readonly minProbeDelayMs: number;
  /** A probe of which nothing was heard for so long is taken for failed: its worker may be gone. */
  readonly probeTimeoutMs: number;
}

export const DEFAULT_CIRCUIT: CircuitSettings = {
  threshold: 3,
  probe: { baseMs: 1_000, capMs: 30_000 },
  minProbeDelayMs: 500,
  probeTimeoutMs: 20_000,
};

/** One try of work on a store: it has failed where nothing moved for so long; the next comes with full jitter. */
export const STORE_TRY: { readonly stallMs: number; readonly retry: Backoff } = {
  stallMs: 2_500,
  retry: { baseMs: 250, capMs: 2_000 },
};

/** Why a store failed, for people. */
export interface CircuitCause {
  readonly code: string;
  readonly message: string;
}

/** State of one store's circuit: plain JSON, carried by the workflow. Times are milliseconds since 1970. */
export type Circuit =
  | { readonly kind: 'closed'; readonly failuresInRow: number }
  /** Nothing is sent before `probeAtMs`. */
  | {
      readonly kind: 'open';
      readonly openedAtMs: number;
      readonly failedProbes: number;
      readonly probeAtMs: number;
      readonly cause: CircuitCause;
    }
  /** One probe is under way; all else waits for it. */
  | {
      readonly kind: 'half-open';
      readonly openedAtMs: number;
      readonly failedProbes: number;
      readonly probeStartedAtMs: number;
      readonly cause: CircuitCause;
    };

export const CLOSED_CIRCUIT: Circuit = { kind: 'closed', failuresInRow: 0 };

/** `transfer`: ordinary work, perhaps begun before the circuit opened. `probe`: the one try of an open circuit. */
export type CircuitWork = 'transfer' | 'probe';

export type CircuitEvent =
  | { readonly kind: 'succeeded'; readonly work: CircuitWork; readonly atMs: number }
  | {
      readonly kind: 'failed';
      readonly work: CircuitWork;
      readonly atMs: number;
      readonly cause: CircuitCause;
      /** Random, from 0 (included) to 1 (excluded). */
      readonly chance: number;
    }
  | { readonly kind: 'probe-started'; readonly atMs: number }
  /** Someone wants to know now whether the store is back. Said by the one who probes, between two probes. */
  | { readonly kind: 'probe-asked'; readonly atMs: number };

/** Whether work may be sent to a store now. */
export type Admission =
  | { readonly kind: 'pass' }
  /** The circuit is open, and its probe is due: try once, and say `probe-started` first. */
  | { readonly kind: 'probe' }
  | { readonly kind: 'hold'; readonly untilMs: number };

/** The next state of a circuit. What does not concern its state (a late answer, say) changes nothing. */
export function stepCircuit(
  circuit: Circuit,
  event: CircuitEvent,
  settings: CircuitSettings = DEFAULT_CIRCUIT,
): Circuit {
  switch (event.kind) {
    case 'succeeded':
      return succeeded(circuit, event);
    case 'failed':
      return failed(circuit, event, settings);
    case 'probe-started':
      return probeStarted(circuit, event.atMs, settings);
    case 'probe-asked':
      return probeAsked(circuit, event.atMs);
    default:
      return assertNever(event);
  }
}

function succeeded(circuit: Circuit, event: Extract<CircuitEvent, { kind: 'succeeded' }>): Circuit {
  if (circuit.kind !== 'open' || event.work === 'probe') return CLOSED_CIRCUIT;
  // Begun before the circuit opened: a sign that the store is back, which the probe proves.
  return { ...circuit, probeAtMs: Math.min(circuit.probeAtMs, event.atMs) };
}

function failed(
  circuit: Circuit,
  { work, atMs, cause, chance }: Extract<CircuitEvent, { kind: 'failed' }>,
  settings: CircuitSettings,
): Circuit {
  switch (circuit.kind) {
    case 'closed': {
      const failuresInRow = circuit.failuresInRow + 1;
      if (failuresInRow < settings.threshold) return { kind: 'closed', failuresInRow };
      return open(atMs, 0, atMs, cause, chance, settings);
    }
    case 'open':
      return circuit;
    case 'half-open':
      // Only the probe speaks for the store now; transfers that fail late were begun before.
      if (work === 'transfer') return circuit;
      return open(circuit.openedAtMs, circuit.failedProbes + 1, atMs, cause, chance, settings);
    default:
      return assertNever(circuit);
  }
}

function open(
  openedAtMs: number,
  failedProbes: number,
  atMs: number,
  cause: CircuitCause,
  chance: number,
  { minProbeDelayMs, probe }: CircuitSettings,
): Circuit {
  const probeAtMs = atMs + minProbeDelayMs + fullJitterMs(probe, failedProbes, chance);
  return { kind: 'open', openedAtMs, failedProbes, probeAtMs, cause };
}

function probeStarted(circuit: Circuit, atMs: number, settings: CircuitSettings): Circuit {
  if (admit(circuit, atMs, settings).kind !== 'probe' || circuit.kind === 'closed') return circuit;
  const { openedAtMs, cause } = circuit;
  const failedProbes = circuit.failedProbes + (circuit.kind === 'half-open' ? 1 : 0);
  return { kind: 'half-open', openedAtMs, failedProbes, probeStartedAtMs: atMs, cause };
}

/** The next probe is due at once. One that began before the question, and that nobody hears of any more, answers nothing. */
function probeAsked(circuit: Circuit, atMs: number): Circuit {
  switch (circuit.kind) {
    case 'closed':
      return circuit;
    case 'open':
      return { ...circuit, probeAtMs: Math.min(circuit.probeAtMs, atMs) };
    case 'half-open': {
      const { openedAtMs, failedProbes, cause } = circuit;
      return { kind: 'open', openedAtMs, failedProbes, probeAtMs: atMs, cause };
    }
    default:
      return assertNever(circuit);
  }
}

/** Decides whether work may go to a store now. */
export function admit(
  circuit: Circuit,
  nowMs: number,
  settings: CircuitSettings = DEFAULT_CIRCUIT,
): Admission {
  switch (circuit.kind) {
    case 'closed':
      return { kind: 'pass' };
    case 'open':
      return dueAt(circuit.probeAtMs, nowMs);
    case 'half-open':
      return dueAt(circuit.probeStartedAtMs + settings.probeTimeoutMs, nowMs);
    default:
      return assertNever(circuit);
  }
}

/** How many tries of a store have failed in a row. */
export function failuresSoFar(
  circuit: Circuit,
  { threshold }: Pick<CircuitSettings, 'threshold'> = DEFAULT_CIRCUIT,
): number {
  return circuit.kind === 'closed' ? circuit.failuresInRow : threshold + circuit.failedProbes;
}

function dueAt(atMs: number, nowMs: number): Admission {
  return nowMs >= atMs ? { kind: 'probe' } : { kind: 'hold', untilMs: atMs };
}

/**
 * The longest time from the moment that a store dies under a try to its open circuit, where its work
 * is tried one by one.
 */
export function detectionCeilingMs(
  { stallMs, retry } = STORE_TRY,
  { threshold }: CircuitSettings = DEFAULT_CIRCUIT,
): number {
  const pauses = Array.from({ length: threshold - 1 }, (_, attempt) => backoffCeilingMs(retry, attempt));
  return threshold * stallMs + pauses.reduce((sum, pause) => sum + pause, 0);
}
