import { fromFailure } from '../activities/failures.ts';
import type { LetterRef, LogProblem, StoreStanding } from '../src/archiving/discovery.ts';
import type { LogRef } from '../src/archiving/staging.ts';
import type { AppError } from '../src/domain/errors.ts';
import { isBinlogName, parseServerUuid } from '../src/domain/identity.ts';
import { isStoreFailure } from '../src/domain/routing/store-failures.ts';
import { hostActivitiesOnce, storeActivities } from './archive-activities.ts';
import { noteFailure, noteStoreFailure } from './archive-circuits.ts';
import type { ArchiveEntity } from './archive-entity.ts';
import { held } from './archive-hold.ts';
import { circuitOf, looksOf } from './archive-records.ts';
import type { DeadLetter, Decision } from './contracts/archive.ts';
import { nowText } from './now.ts';

/** Logs that were given up are remembered until long after the server has purged them. */
const MAX_GIVEN_UP = 200;

/** Dead letters that the planner leaves alone until an operator has decided; others it finds again by itself. */
export function setAsideOf(entity: ArchiveEntity): readonly LetterRef[] {
  return entity.deadLetters.filter(({ foundBy }) => foundBy === 'transfer').map(refOf);
}

/** The dead letters that a decision is about, by the name in it. */
export function lettersNamed(entity: ArchiveEntity, name: string): readonly DeadLetter[] {
  return entity.deadLetters.filter(
    ({ serverUuid, binlog }) => name === binlog || name === `${serverUuid}/${binlog}`,
  );
}

/**
 * Carries out what operators decided since the last round. A decision that fails is tried again by the next
 * one, and makes this one fail at its end: what it does till then may mend what stood in the way. One that
 * comes too early is kept until what it waits for is archived or decided on.
 */
export async function carryOutDecisions(entity: ArchiveEntity, host: string): Promise<void> {
  for (const decision of entity.decisions) {
    let behind: string | null;
    try {
      behind = await carryOut(entity, host, decision);
    } catch (error) {
      failDecision(entity, error);
      continue;
    }
    entity.decisions = entity.decisions.flatMap((other) =>
      other !== decision ? [other] : behind === null ? [] : [{ ...decision, behind }],
    );
  }
}

function failDecision(entity: ArchiveEntity, error: unknown): void {
  const failure = fromFailure(error);
  // Another one has taken over, or it is no step's failure: nothing more is to be done in this round.
  if (failure === undefined || failure.code === 'StaleEpoch') throw error;
  const { store } = failure.facts;
  if (typeof store === 'string' && isStoreFailure(failure.code)) noteStoreFailure(entity, store, failure);
  entity.laneFailures = [...entity.laneFailures, error];
}

/** Returns the log that the decision must wait for; null where it is carried out. */
async function carryOut(entity: ArchiveEntity, host: string, decision: Decision): Promise<string | null> {
  for (const letter of lettersNamed(entity, decision.binlog)) {
    const behind = decision.kind === 'retry' ? null : await accept(entity, host, letter, decision.reason);
    if (behind !== null) return behind;
    forget(entity, letter);
  }
  return null;
}

async function accept(
  entity: ArchiveEntity,
  host: string,
  letter: DeadLetter,
  reason: string,
): Promise<string | null> {
  const gives = givenBy(letter);
  const givenUp = [...entity.givenUp, ...givenUpTogether(entity)];
  const acceptance = { letter: refOf(letter), gives };
  const { heads } = entity;
  const outcome = await hostActivitiesOnce(host).acceptGap({
    ...held(entity),
    stores: looksOf(entity),
    heads,
    acceptance,
    givenUp,
    reason,
  });
  if (outcome.kind === 'too-early') return outcome.behind;
  // A gap that is accepted ends, for readers of the catalog, every refusal before it.
  entity.deadLetters = entity.deadLetters.map((other) => ({ ...other, unwritten: storesFor(entity, other) }));
  // The log behind a gap is archived after all; any other log is given up for good.
  if (gives === 'log') entity.givenUp = [...entity.givenUp, refOf(letter)].slice(-MAX_GIVEN_UP);
  return null;
}

function givenBy({ code }: DeadLetter): 'gap' | 'log' {
  return code === 'ArchiveGap' ? 'gap' : 'log';
}

/** Logs on which operators have decided, though not all of that is carried out: their transactions are lost together. */
function givenUpTogether(entity: ArchiveEntity): readonly LetterRef[] {
  return entity.decisions
    .filter(({ kind }) => kind === 'accept-gap')
    .flatMap(({ binlog }) => lettersNamed(entity, binlog))
    .filter((letter) => givenBy(letter) === 'log')
    .map(refOf);
}

/** Replaces what the last look reported by what this one reports; a letter keeps the time of its first day. */
export function noteProblems(entity: ArchiveEntity, problems: readonly LogProblem[]): void {
  const known = entity.deadLetters.filter(({ foundBy }) => foundBy === 'plan');
  const letters = problems.map((problem): DeadLetter => {
    const before = known.find((letter) => sameLetter(letter, problem));
    return before ?? newLetter(entity, { ...problem, foundBy: 'plan' });
  });
  const waiting = entity.deadLetters.filter(({ foundBy }) => foundBy !== 'plan');
  entity.deadLetters = [...waiting, ...letters];
}

/** Puts a log that was refused on the list; one that is told anew keeps the time of its first day. */
export function listLetter(
  entity: ArchiveEntity,
  log: LogRef,
  refusal: AppError,
  foundBy: 'fence' | 'transfer' = 'transfer',
): void {
  const { serverUuid, binlog, createdAt, lengthBytes } = log;
  const { code, kind, message, hint = '' } = refusal;
  const problem = { serverUuid, binlog, createdAt, lengthBytes, code, kind, message, hint };
  const before = entity.deadLetters.find(
    (letter) => letter.foundBy === foundBy && sameLetter(letter, problem),
  );
  forget(entity, log);
  entity.deadLetters = [...entity.deadLetters, before ?? newLetter(entity, { ...problem, foundBy })];
}

function newLetter(entity: ArchiveEntity, problem: LogProblem & Pick<DeadLetter, 'foundBy'>): DeadLetter {
  return { ...problem, at: nowText(), unwritten: storesFor(entity, problem) };
}

/** All stores; none where the name of a log is such that no catalog can hold it. */
function storesFor({ stores }: ArchiveEntity, { binlog }: LetterRef): readonly string[] {
  return isBinlogName(binlog) ? stores.map(({ store }) => store) : [];
}

/**
 * Writes what is on the list into the catalogs that do not name it yet. The list comes first: a store
 * that cannot take the entry, because it is away or has to be filled before, gets it in a later round,
 * and holds nothing up meanwhile.
 */
export async function writeLetters(
  entity: ArchiveEntity,
  standings: readonly Pick<StoreStanding, 'store' | 'status' | 'epoch'>[],
): Promise<void> {
  for (const letter of entity.deadLetters) {
    const stores = letter.unwritten.filter((store) => {
      const standing = standings.find((it) => it.store === store);
      // One of a newer epoch tells that this writer was fenced.
      const isAble = standing?.status === 'read' && (standing.epoch ?? 0) >= held(entity).epoch;
      return isAble && circuitOf(entity, store).kind === 'closed';
    });
    if (stores.length > 0) await writeDown(entity, letter, stores);
  }
}

async function writeDown(
  entity: ArchiveEntity,
  letter: DeadLetter,
  stores: readonly string[],
): Promise<void> {
  if (!isBinlogName(letter.binlog)) return;
  const { written, later } = await storeActivities().recordRefusal({
    ...held(entity),
    stores,
    refusal: {
      serverUuid: parseServerUuid(letter.serverUuid),
      binlog: letter.binlog,
      reason: letter.code,
      detail: letter.message,
    },
  });
  for (const { store, failure } of later) noteFailure(entity, store, failure);
  // Read now: the list may have changed meanwhile.
  entity.deadLetters = entity.deadLetters.map((now) =>
    sameLetter(now, letter)
      ? { ...now, unwritten: now.unwritten.filter((store) => !written.includes(store)) }
      : now,
  );
}

/** Takes a log off the list: it is dealt with, or told anew. */
export function forget(entity: ArchiveEntity, log: LetterRef): void {
  entity.deadLetters = entity.deadLetters.filter((letter) => !sameLog(letter, log));
}

function refOf({ serverUuid, binlog, createdAt, lengthBytes }: LetterRef): LetterRef {
  return { serverUuid, binlog, createdAt, lengthBytes };
}

/** True where both say the same of the same log. */
function sameLetter(a: LogProblem, b: LogProblem): boolean {
  return sameLog(a, b) && a.code === b.code && a.message === b.message;
}

function sameLog(a: LetterRef, b: LetterRef): boolean {
  return (
    a.serverUuid === b.serverUuid &&
    a.binlog === b.binlog &&
    a.createdAt === b.createdAt &&
    a.lengthBytes === b.lengthBytes
  );
}
