import {
  allHandlersFinished,
  condition,
  isCancellation,
  makeContinueAsNewFunc,
  setCurrentDetails,
  workflowInfo,
} from '@temporalio/workflow';
import { toFailure } from '../activities/failures.ts';
import {
  type ArchiveEntity,
  carryOf,
  endRun,
  failureOf,
  openEntity,
  ticketsOfRound,
} from './archive-entity.ts';
import { describeFailure } from './archive-failures.ts';
import { listen } from './archive-handlers.ts';
import { isStandingBy, noteFence } from './archive-hold.ts';
import { isAnyBusy, isCountingBusy, stopLanes } from './archive-lanes.ts';
import { archiveRound } from './archive-round.ts';
import { stageAllTheSame } from './archive-staging.ts';
import { archiveDetails } from './archive-words.ts';
import {
  ARCHIVE_CARRY,
  ARCHIVE_SOURCE,
  type ArchiveCarry,
  type ArchiveSourceInput,
} from './contracts/archive.ts';
import { decode } from './decode.ts';
import { nowText } from './now.ts';

/** Waits this long where a round failed before it knew the configuration. */
const DEFAULT_POLL_SECONDS = 10;
/** A run ends after so many rounds, whatever the server suggests. */
const MAX_ROUNDS = 150;
/** Then it ends, whatever is under way: Temporal ends a run itself some thousand events later. */
const MAX_EVENTS = 40_000;

/**
 * Archives the binlogs of one source, for ever. Id `archive/{cluster}/{source}`.
 *
 * Each round looks at the server, archives what is closed, and sleeps. A round that fails is
 * shown in `status` and tried again; only bad input ends the workflow.
 */
export async function archiveSource(input: ArchiveSourceInput, carried?: ArchiveCarry): Promise<void> {
  const source = decode(ARCHIVE_SOURCE, input);
  const entity = openEntity(source, carried === undefined ? undefined : decode(ARCHIVE_CARRY, carried));
  listen(entity);
  for (;;) {
    await untilRunning(entity);
    const pollSeconds = await roundWithItsFailure(entity);
    showDetails(entity);
    if (isRunLong(entity) && mayEnd(entity)) break;
    await sleepUnlessAsked(entity, pollSeconds);
  }
  // Nobody can hold this up: all who wait are answered, and all else that was asked is carried on.
  endRun(entity);
  await stopLanes(entity);
  await condition(allHandlersFinished);
  await makeContinueAsNewFunc<typeof archiveSource>()(source, carryOf(entity));
}

function isRunLong(entity: ArchiveEntity): boolean {
  return workflowInfo().continueAsNewSuggested || entity.round >= MAX_ROUNDS;
}

/** A run ends when nothing goes to a store: what is cut short would begin anew, a large log perhaps for ever. */
function mayEnd(entity: ArchiveEntity): boolean {
  if (!isAnyBusy(entity) || workflowInfo().historyLength > MAX_EVENTS) return true;
  entity.run = 'draining';
  return false;
}

async function untilRunning(entity: ArchiveEntity): Promise<void> {
  if (entity.mode === 'running') return;
  entity.phase = 'paused';
  showDetails(entity);
  await condition(() => entity.mode === 'running');
}

/** Runs one round; what goes wrong in it is noted, told to those who wait, and tried again by the next. */
async function roundWithItsFailure(entity: ArchiveEntity): Promise<number> {
  entity.round += 1;
  entity.wake = false;
  try {
    const { settings, archived } = await archiveRound(entity);
    entity.lastFailure = null;
    const isBusy = isCountingBusy(entity);
    // A round that a slow store outlasts has not archived anything yet.
    if (!isBusy || archived > 0) entity.lastSuccessAt = nowText();
    entity.phase = isBusy ? 'transferring' : 'waiting';
    for (const ticket of ticketsOfRound(entity)) {
      // A run that ends starts nothing, which does not mean that nothing is left to do.
      const isIdle = archived === 0 && !entity.wake && !isBusy && entity.run === 'open';
      if (isIdle || (ticket.remaining ?? 0) <= 0) ticket.state = { kind: 'done' };
    }
    return settings.pollSeconds;
  } catch (error) {
    if (isCancellation(error)) throw error;
    const described = describeFailure(error);
    entity.lastFailure = failureOf(described, nowText());
    noteFence(entity, described);
    entity.phase = isStandingBy(entity) ? 'standing-by' : 'failing';
    for (const ticket of ticketsOfRound(entity)) {
      ticket.state = { kind: 'failed', error: toFailure(described) };
    }
    entity.lastFailure = failureOf(await stageAllTheSame(entity, described), nowText());
    return DEFAULT_POLL_SECONDS;
  }
}

/** Sleeps until the next poll, or until someone asks for something. */
async function sleepUnlessAsked(entity: ArchiveEntity, pollSeconds: number): Promise<void> {
  const asked = (): boolean =>
    entity.wake ||
    (!isStuck(entity) && (entity.rotateAsked || hasFreshDecision(entity))) ||
    ticketsWaiting(entity) ||
    entity.mode === 'paused';
  await condition(asked, `${pollSeconds} seconds`);
}

/** What the last round could not do waits for the next poll, or it would be tried without a pause. */
function isStuck({ phase }: ArchiveEntity): boolean {
  return phase === 'failing' || phase === 'standing-by';
}

/** One that came too early waits for the next poll like everything else. */
function hasFreshDecision(entity: ArchiveEntity): boolean {
  return entity.decisions.some(({ behind }) => behind === null);
}

function ticketsWaiting(entity: ArchiveEntity): boolean {
  return entity.tickets.some(({ state }) => state.kind === 'waiting');
}

function showDetails(entity: ArchiveEntity): void {
  setCurrentDetails(archiveDetails(entity));
}
