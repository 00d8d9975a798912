import { newestLine } from '../archiving/line.ts';
import type { Repositories, Repository } from '../archiving/repositories.ts';
import type { CatalogState } from '../catalog/fold.ts';
import type { StoreConfig, StoreRules } from '../config/types.ts';
import { AppError } from '../domain/errors.ts';
import type { ServerUuid } from '../domain/identity.ts';
import { oneLine } from '../domain/routing/catalog-view.ts';
import { CLOSED_CIRCUIT } from '../domain/routing/circuit.ts';
import { holderOf, type StandingHandoff, type StoreManifest } from '../domain/routing/handoff-facts.ts';
import { isPassedOver } from '../domain/routing/store-failures.ts';
import { effectivePolicies, standInsAfter } from '../domain/routing/store-handoff.ts';
import type { StorePolicy } from '../domain/routing/store-policy.ts';
import { coveredOn } from './covered.ts';
import { within } from './within.ts';

/** How long a store may take to show its catalog; one that is away must not hold up a handoff. */
const READ_MS = 4_000;

/** What the catalogs say of the source that is archived, and of its history. Plain JSON. */
export interface ArchiveStanding {
  readonly from: { readonly source: string; readonly serverUuid: ServerUuid | null };
  readonly stores: readonly StoreManifest[];
  /** The newest epoch of any store that answered; 0 where none did. */
  readonly epoch: number;
}

export interface StandingRequest {
  /** How the stores count by the configuration. */
  readonly stores: readonly Pick<StoreConfig & StoreRules, 'id' | 'policy'>[];
  /** Null: who holds the archive by the catalogs, and before any handoff `first`. */
  readonly from: string | null;
  readonly first: FirstSource;
}

/** Who may hold the archive before any handoff, beside the one that shall take it over. */
export type FirstSource =
  | { readonly kind: 'one'; readonly source: string }
  | { readonly kind: 'several' }
  /** The one that shall take it over is the only one that is archived. */
  | { readonly kind: 'none'; readonly to: string };

/** Decides it from the configuration. Pure. */
export function firstSource(
  sources: readonly { readonly id: string; readonly role: 'archived' | 'fallback' }[],
  to: string | null,
): FirstSource {
  const archived = sources.filter(({ id, role }) => role === 'archived' && id !== to);
  const [first, ...others] = archived;
  if (first === undefined) return to === null ? { kind: 'several' } : { kind: 'none', to };
  return others.length === 0 ? { kind: 'one', source: first.id } : { kind: 'several' };
}

/** @throws refused `HandoffFromUnknown`, `HoldsArchive`; what the catalogs throw but for a store that has failed */
export async function readStanding(
  repositories: Repositories,
  request: StandingRequest,
): Promise<ArchiveStanding> {
  const read = await Promise.all(repositories.all.map(readOne));
  const states = read.flatMap(({ state }) => (state === null ? [] : [state]));
  const newest = newestOf(states);
  const holder = holderOf(newest);
  const { first } = request;
  const source = request.from ?? holder?.source ?? (first.kind === 'one' ? first.source : null);
  if (source === null) throw first.kind === 'none' ? holdsItAlready(first.to) : fromUnknown();
  const serverUuid =
    (holder?.source === source ? holder.serverUuid : null) ??
    states.map((it) => lastServer(it, source)).find((it) => it !== null) ??
    null;
  return {
    from: { source, serverUuid },
    stores: effective(request.stores, states).flatMap(({ store, policy }) => {
      const found = read.find((it) => it.store === store);
      return found === undefined ? [] : [manifestOf(found, policy, serverUuid)];
    }),
    epoch: Math.max(0, ...states.map(({ epoch }) => epoch)),
  };
}

interface ReadStore {
  readonly store: string;
  readonly state: CatalogState | null;
  /** Why it was not read; empty where it was. */
  readonly code: string;
}

async function readOne({ store, catalog }: Repository): Promise<ReadStore> {
  try {
    const state = await within(READ_MS, store.location, () => catalog.read());
    return { store: store.id, state, code: '' };
  } catch (error) {
    // A catalog that is broken is no reason to hand over without it: somebody must look first. A store that denies,
    // or does not prove itself, has failed like one that is away.
    if (!(error instanceof AppError) || !isPassedOver(error)) throw error;
    return { store: store.id, state: null, code: error.code };
  }
}

/** How the stores count now: one may stand in for another. */
export function effective(
  stores: StandingRequest['stores'],
  states: readonly CatalogState[],
): readonly { readonly store: string; readonly policy: StorePolicy }[] {
  const routes = new Map(
    states.flatMap((state) => state.handoffs().map(({ epoch, route }) => [epoch, route])),
  );
  const inOrder = [...routes].toSorted(([a], [b]) => a - b).map(([, route]) => route);
  const configured = stores.map(({ id, policy }) => ({ store: id, policy }));
  return effectivePolicies(configured, standInsAfter(inOrder));
}

function manifestOf(
  { store, state, code }: ReadStore,
  policy: StorePolicy,
  serverUuid: ServerUuid | null,
): StoreManifest {
  // A store that answered is there; one that is away was not read.
  const standing = { store, policy, circuit: CLOSED_CIRCUIT };
  if (state === null) return { ...standing, kind: 'unread', code };
  const timeline = timelineOf(state, serverUuid);
  return {
    ...standing,
    kind: 'read',
    epoch: state.epoch,
    lastHandoff: newestOf([state]),
    timeline,
    coveredGtids: timeline === null ? '' : oneLine(coveredOn(state, timeline).toString()),
  };
}

/** The timeline that goes on: the server's newest; where no server is known, that of the last segment. */
function timelineOf(state: CatalogState, serverUuid: ServerUuid | null): number | null {
  const line = serverUuid === null ? null : newestLine(state, serverUuid);
  const timeline = line?.timeline ?? state.allSegments().at(-1)?.timeline ?? null;
  return timeline === null || state.segments(timeline).length === 0 ? null : timeline;
}

function newestOf(states: readonly CatalogState[]): StandingHandoff | null {
  const all = states.flatMap((state) => state.handoffs()).filter(({ route }) => route.kind === 'source');
  const newest = all.toSorted((a, b) => a.epoch - b.epoch).at(-1);
  return newest === undefined ? null : { epoch: newest.epoch, reason: newest.reason, route: newest.route };
}

/** The server that a source was when its last segment was written; its writer ends in the source's name. */
function lastServer(state: CatalogState, source: string): ServerUuid | null {
  const last = state.allSegments().findLast(({ writer }) => writer.endsWith(`/${source}`));
  return last?.segment.serverUuid ?? null;
}

function holdsItAlready(source: string): AppError {
  return new AppError({
    code: 'HoldsArchive',
    kind: 'refused',
    message: `${source} is the source that is archived, and no handoff has changed that, so there is nothing to hand over; nothing was done.`,
    hint: 'Name the source that shall go on: pitrail handoff --to SOURCE.',
    facts: { source },
  });
}

function fromUnknown(): AppError {
  return new AppError({
    code: 'HandoffFromUnknown',
    kind: 'refused',
    message:
      'No catalog names a handoff and several sources are archived, so it is not known who hands over; nothing was done.',
    hint: 'Say who: pitrail handoff --from SOURCE --to SOURCE. Or name the others in archive.fallback.sources.',
  });
}
