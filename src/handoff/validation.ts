import { newestLine } from '../archiving/line.ts';
import { type Repositories, type Repository, signAs, wallClock } from '../archiving/repositories.ts';
import type { ServerContext } from '../archiving/resources.ts';
import type { CatalogState, Handoff } from '../catalog/fold.ts';
import { AppError } from '../domain/errors.ts';
import { GtidSet } from '../domain/gtid-set.ts';
import { archiveLag, lagSeconds } from '../domain/routing/archive-lag.ts';
import { oneLine } from '../domain/routing/catalog-view.ts';
import type { ValidationFacts } from '../domain/routing/handoff-validation.ts';
import { isPassedOver } from '../domain/routing/store-failures.ts';
import { readServerFacts } from '../mysql/facts.ts';
import { faultPoint } from '../process/fault.ts';
import { coveredOn } from './covered.ts';
import { readLagLogs } from './look.ts';
import { within } from './within.ts';

/** How long a store may take to show its catalog before it counts as away. */
const RECORD_MS = 4_000;

/** What is asked of a handoff that stands: of the store that it fences by. */
export interface HandoffName {
  readonly epoch: number;
  readonly store: string;
}

/** What tells whether a handoff holds, but for the limit, which whoever judges adds. Plain JSON. */
export type ValidationReading = Omit<ValidationFacts, 'lagLimitSeconds'> & {
  /** Base backups of the new source that were registered behind the boundary. */
  readonly basesBehind: number;
};

/**
 * Gathers what tells whether a handoff holds: the archive before and behind its boundary, and the
 * new source.
 * @throws bug `HandoffGone` where the store has no such handoff; unavailable
 */
export async function readValidation(
  server: ServerContext,
  { catalog }: Repository,
  { epoch, store }: HandoffName,
): Promise<ValidationReading> {
  return server.withSession(async (session) => {
    const { serverUuid, gtidExecuted } = await readServerFacts(session);
    const logs = await readLagLogs(server, session);
    const state = await catalog.read();
    const handoff = state.handoffs().find((it) => it.epoch === epoch);
    if (handoff === undefined) throw gone(epoch, store);
    const line = newestLine(state, serverUuid);
    const covered = line === null ? GtidSet.EMPTY : coveredOn(state, line.timeline);
    const executed = GtidSet.parse(gtidExecuted);
    const lag = archiveLag(logs, executed, covered);
    const isBehind = ({ sequence, segment }: { sequence: number; segment: { serverUuid: string } }) =>
      sequence > handoff.sequence && segment.serverUuid === serverUuid;
    return {
      coveredAtBoundary: coveredAtBoundary(state, handoff),
      coveredNow: oneLine(covered.toString()),
      gtidExecuted,
      lagSeconds: lagSeconds(lag, Date.now()),
      firstLog: state.allSegments().some(isBehind)
        ? 'archived'
        : lag.transactions > 0
          ? 'waiting'
          : 'nothing-to-archive',
      basesBehind: state
        .backups()
        .filter(({ sequence, backup }) => sequence > handoff.sequence && backup.serverUuid === serverUuid)
        .length,
    };
  });
}

/** What must still be there. A new history has no past to keep. */
function coveredAtBoundary(state: CatalogState, { route, sequence }: Handoff): string {
  if (route.kind !== 'source' || route.continuity.kind !== 'continues') return '';
  return oneLine(coveredOn(state, route.continuity.timeline, sequence).toString());
}

/** What became of a handoff, as the catalogs keep it. */
export interface HandoffOutcome {
  readonly handoffEpoch: number;
  readonly verdict: 'validated' | 'failed';
  readonly lagSeconds: number | null;
  readonly lagTransactions: number;
  readonly detail: string;
}

/**
 * Writes down in every store that has the handoff what became of it. Can be run again: the same
 * verdict is written once. A store that is away or behind gets it by `sync`.
 * @throws unavailable where no store could be reached
 */
export async function recordOutcome(
  { all }: Repositories,
  source: string,
  outcome: HandoffOutcome,
): Promise<void> {
  const tried = await Promise.all(
    all.map((repository) => recordIn(repository, source, outcome).catch(awayOf)),
  );
  const [away] = tried.filter((error) => error !== null);
  if (away !== undefined && tried.every((error) => error !== null)) throw away;
}

async function recordIn(
  { store, catalog }: Repository,
  source: string,
  outcome: HandoffOutcome,
): Promise<null> {
  const { handoffEpoch, verdict } = outcome;
  const state = await within(RECORD_MS, store.location, () => catalog.read());
  if (state.handoffs().some(({ epoch }) => epoch === handoffEpoch)) {
    const by = signAs({ role: 'handoff', source, epoch: state.epoch }, wallClock)();
    await catalog.append({ kind: 'handoff-validated', ...outcome }, by, (now) => {
      const same = now
        .handoffResults()
        .find((it) => it.handoffEpoch === handoffEpoch && it.verdict === verdict);
      return same === undefined ? { decision: 'append' } : { decision: 'stands', sequence: same.sequence };
    });
    faultPoint('handoff.recorded');
  }
  return null;
}

/** @throws all but that a store has failed */
function awayOf(error: unknown): AppError {
  if (error instanceof AppError && isPassedOver(error)) return error;
  throw error;
}

function gone(epoch: number, store: string): AppError {
  return new AppError({
    code: 'HandoffGone',
    kind: 'bug',
    message: `The catalog of ${store} has no handoff of epoch ${epoch}, which was just written there.`,
    facts: { epoch, store },
  });
}
