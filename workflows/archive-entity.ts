import type { SealSummary } from '../activities/archive-transfers.ts';
import type { AppError } from '../src/domain/errors.ts';
import type { RetentionAlarm } from '../src/domain/routing/retention-alarm.ts';
import type { StoreBoundary } from '../src/domain/routing/store-boundaries.ts';
import type { StandIn } from '../src/domain/routing/store-handoff.ts';
import type { Lane, WaitingLog } from './archive-lane.ts';
import type {
  ArchiveCarry,
  ArchivedThrough,
  ArchiveNowResult,
  ArchiveSourceInput,
  ArchiveStatus,
  DeadLetter,
  Decision,
  GivenUp,
  StoreHead,
  UnmetStore,
  WriterHold,
} from './contracts/archive.ts';
import type { RoundFailure } from './contracts/failure.ts';
import type { StoreRecord, UnvalidatedSwitch } from './contracts/stores.ts';

/** A caller of `archiveNow` that waits until all that was closed when it asked is dealt with. */
export interface Ticket {
  /** The first round that may answer: one that looked at the server after the call. */
  readonly fromRound: number;
  readonly archived: string[];
  /** Logs found by the first round and not dealt with yet; null until that round has looked. */
  remaining: number | null;
  state:
    | { readonly kind: 'waiting' }
    | { readonly kind: 'done' }
    /** The run ends before all is dealt with; the caller asks the next one. */
    | { readonly kind: 'goes-on' }
    | { readonly kind: 'failed'; readonly error: unknown };
}

/** Everything that `archiveSource` remembers. Changed by rounds and signals, only inside the workflow. */
export interface ArchiveEntity {
  readonly input: ArchiveSourceInput;
  mode: 'running' | 'paused';
  phase: ArchiveStatus['phase'];
  /**
   * `draining`: the run is long, and nothing new is begun for the stores; `ending`: the next run takes
   * over, and whoever asks now is sent to it.
   */
  run: 'open' | 'draining' | 'ending';
  /** The host of the source's files; null before the first round of a run has asked. */
  host: string | null;
  round: number;
  hold: WriterHold;
  /** Stores that count and could not be asked when the epoch was taken. */
  unasked: readonly string[];
  archivedThrough: ArchivedThrough | null;
  deadLetters: readonly DeadLetter[];
  givenUp: readonly GivenUp[];
  heads: readonly StoreHead[];
  segmentsArchived: number;
  lastSuccessAt: string | null;
  lastFailure: RoundFailure | null;
  rotationFailure: RoundFailure | null;
  /** Milliseconds since 1970: no rotation by time is tried before. */
  rotationNotBefore: number;
  backlog: ArchiveStatus['backlog'];
  retention: RetentionAlarm | null;
  stores: readonly StoreRecord[];
  standIns: readonly StandIn[];
  boundaries: readonly StoreBoundary[];
  acknowledgedGtids: string | null;
  unaudited: readonly StoreBoundary[];
  auditFailure: RoundFailure | null;
  unvalidated: UnvalidatedSwitch | null;
  noStandIns: readonly UnmetStore[];
  /** `from to` of the switches that this round tried in vain. */
  notSwitched: ReadonlySet<string>;
  /** Whether an entry is being written that raises the epoch. */
  switching: 'no' | 'under-way';
  /** What is under way for each store. */
  readonly lanes: Map<string, Lane>;
  /** Logs that are being sealed. */
  readonly seals: Map<string, Promise<SealSummary>>;
  /** Logs that stores lack, oldest first. */
  waiting: ReadonlyMap<string, WaitingLog>;
  /** `log store` of what was committed since the last look began. */
  readonly committed: Set<string>;
  /** What went wrong for stores that count, since the last round. */
  laneFailures: readonly unknown[];
  lastRefusedSignal: string | null;
  /** Someone wants the next round now. */
  wake: boolean;
  rotateAsked: boolean;
  /** Stores whose circuits are open and that someone wants to be tried now. */
  readonly probesAsked: Set<string>;
  /** A handoff was made: the next round asks anew who may write. */
  reclaimAsked: boolean;
  decisions: readonly Decision[];
  tickets: readonly Ticket[];
}

const FRESH: ArchiveCarry = {
  mode: 'running',
  hold: { kind: 'unclaimed' },
  unasked: [],
  archivedThrough: null,
  deadLetters: [],
  givenUp: [],
  decisions: [],
  heads: [],
  stores: [],
  standIns: [],
  boundaries: [],
  acknowledgedGtids: null,
  unaudited: [],
  auditFailure: null,
  unvalidated: null,
  segmentsArchived: 0,
  lastSuccessAt: null,
  lastFailure: null,
  rotationFailure: null,
  rotateAsked: false,
  lastRefusedSignal: null,
};

/** The entity as it begins: fresh, or as the run before left it. */
export function openEntity(input: ArchiveSourceInput, carried: ArchiveCarry | undefined): ArchiveEntity {
  return {
    input,
    ...(carried ?? FRESH),
    phase: 'starting',
    run: 'open',
    host: null,
    round: 0,
    rotationNotBefore: 0,
    backlog: { logs: 0, bytes: 0 },
    retention: null,
    noStandIns: [],
    notSwitched: new Set(),
    switching: 'no',
    lanes: new Map(),
    seals: new Map(),
    waiting: new Map(),
    committed: new Set(),
    laneFailures: [],
    wake: false,
    probesAsked: new Set(),
    reclaimAsked: false,
    tickets: [],
  };
}

/** Ends the run for those who wait: they are told how far it came, and ask the next one for the rest. */
export function endRun(entity: ArchiveEntity): void {
  entity.run = 'ending';
  for (const ticket of entity.tickets) {
    if (ticket.state.kind === 'waiting') ticket.state = { kind: 'goes-on' };
  }
}

/** What the next run must know. Asked between rounds, when no ticket is open. */
export function carryOf(entity: ArchiveEntity): ArchiveCarry {
  const { mode, hold, unasked, archivedThrough, deadLetters, givenUp, decisions, heads } = entity;
  const { segmentsArchived, lastSuccessAt, lastFailure, rotationFailure, rotateAsked } = entity;
  const { stores, standIns, boundaries, acknowledgedGtids, unaudited, auditFailure, unvalidated } = entity;
  return {
    mode,
    hold: entity.reclaimAsked ? { kind: 'unclaimed' } : hold,
    unasked,
    stores,
    standIns,
    boundaries,
    acknowledgedGtids,
    unaudited,
    auditFailure,
    unvalidated,
    archivedThrough,
    deadLetters,
    givenUp,
    decisions,
    heads,
    segmentsArchived,
    lastSuccessAt,
    lastFailure,
    rotationFailure,
    rotateAsked,
    lastRefusedSignal: entity.lastRefusedSignal,
  };
}

/** Answer of the query `status`. */
export function statusOf(entity: ArchiveEntity): ArchiveStatus {
  const { input, phase, backlog, retention, noStandIns } = entity;
  const lanes = [...entity.lanes.values()].map(({ store, work }) => ({ store, work }));
  return { ...input, ...carryOf(entity), phase, backlog, retention, noStandIns, lanes };
}

/**
 * Adds a caller of `archiveNow`. A round under way may have looked before the call, so the next one
 * counts; and a store that is given up may be back by now, so each is tried: once, however many ask.
 */
export function openTicket(entity: ArchiveEntity): Ticket {
  const ticket: Ticket = {
    fromRound: entity.round + 1,
    archived: [],
    remaining: null,
    state: { kind: entity.run === 'ending' ? 'goes-on' : 'waiting' },
  };
  entity.tickets = [...entity.tickets, ticket];
  for (const { store, circuit } of entity.stores) {
    if (circuit.kind !== 'closed') entity.probesAsked.add(store);
  }
  entity.wake = true;
  return ticket;
}

/** Tickets that the present round works for. */
export function ticketsOfRound(entity: ArchiveEntity): readonly Ticket[] {
  return entity.tickets.filter(
    (ticket) => ticket.state.kind === 'waiting' && ticket.fromRound <= entity.round,
  );
}

/** Takes a ticket off the list once its caller was answered. */
export function closeTicket(entity: ArchiveEntity, ticket: Ticket): void {
  entity.tickets = entity.tickets.filter((other) => other !== ticket);
}

/** Answer of `archiveNow`. */
export function ticketResult(entity: ArchiveEntity, ticket: Ticket): ArchiveNowResult {
  const { input, archivedThrough, deadLetters, backlog } = entity;
  const state = ticket.state.kind === 'goes-on' ? 'goes-on' : 'done';
  return { ...input, state, archived: ticket.archived, archivedThrough, deadLetters, backlog };
}

/** The words of an error, for status and history. */
export function failureOf(error: AppError, at: string): RoundFailure {
  return { code: error.code, kind: error.kind, message: error.message, hint: error.hint ?? '', at };
}
