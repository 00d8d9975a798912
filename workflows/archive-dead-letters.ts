import type { LetterRef, LogProblem } from '../src/archiving/discovery.ts';
import type { LogRef } from '../src/archiving/staging.ts';
import type { AppError } from '../src/domain/errors.ts';
import { isBinlogName, parseServerUuid } from '../src/domain/identity.ts';
import { hostActivities, storeActivities } from './archive-activities.ts';
import type { ArchiveEntity } from './archive-entity.ts';
import { held } from './archive-hold.ts';
import { looksOf } from './archive-records.ts';
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
 * Carries out what operators decided since the last round. A decision that fails is tried again, and
 * one that comes too early is kept until what it waits for is archived or decided on.
 */
export async function carryOutDecisions(entity: ArchiveEntity, host: string): Promise<void> {
  for (const decision of entity.decisions) {
    const behind = await carryOut(entity, host, decision);
    entity.decisions = entity.decisions.flatMap((other) =>
      other !== decision ? [other] : behind === null ? [] : [{ ...decision, behind }],
    );
  }
}

/** Returns the log that the decision must wait for; null where it is carried out. */
async function carryOut(entity: ArchiveEntity, host: string, decision: Decision): Promise<string | null> {
  for (const letter of lettersNamed(entity, decision.binlog)) {
    const behind = decision.kind === 'retry' ? null : await accept(entity, host, letter, decision.reason);
    if (behind !== null) return behind;
    entity.deadLetters = entity.deadLetters.filter((other) => other !== letter);
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
  const outcome = await hostActivities(host).acceptGap({
    ...held(entity),
    stores: looksOf(entity),
    heads,
    acceptance,
    givenUp,
    reason,
  });
  if (outcome.kind === 'too-early') return outcome.behind;
  // A gap that is accepted ends, for readers of the catalog, every refusal before it.
  for (const other of entity.deadLetters) if (other !== letter) await writeDown(entity, other);
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
export async function noteProblems(entity: ArchiveEntity, problems: readonly LogProblem[]): Promise<void> {
  const known = entity.deadLetters.filter(({ foundBy }) => foundBy === 'plan');
  const letters: DeadLetter[] = [];
  for (const problem of problems) {
    const before = known.find((letter) => sameLog(letter, problem) && letter.message === problem.message);
    const letter = before ?? { ...problem, foundBy: 'plan' as const, at: nowText() };
    if (before === undefined) await writeDown(entity, letter);
    letters.push(letter);
  }
  // Read now: a transfer may have added one meanwhile.
  const waiting = entity.deadLetters.filter(({ foundBy }) => foundBy !== 'plan');
  entity.deadLetters = [...waiting, ...letters];
}

/** Puts a log that was refused on the list, and writes the refusal into every catalog. */
export async function writeLetter(
  entity: ArchiveEntity,
  log: LogRef,
  refusal: AppError,
  foundBy: 'fence' | 'transfer' = 'transfer',
): Promise<void> {
  const { serverUuid, binlog, createdAt, lengthBytes } = log;
  const { code, kind, message, hint = '' } = refusal;
  const letter: DeadLetter = {
    serverUuid,
    binlog,
    createdAt,
    lengthBytes,
    code,
    kind,
    message,
    hint,
    foundBy,
    at: nowText(),
  };
  // The list comes first: a store that is down must not make the log be tried again and again.
  forget(entity, log);
  entity.deadLetters = [...entity.deadLetters, letter];
  await writeDown(entity, letter);
}

/** Takes a log off the list: it is dealt with, or told anew. */
export function forget(entity: ArchiveEntity, { serverUuid, binlog, createdAt, lengthBytes }: LogRef): void {
  const log = { serverUuid, binlog, createdAt, lengthBytes };
  entity.deadLetters = entity.deadLetters.filter((letter) => !sameLog(letter, log));
}

async function writeDown(entity: ArchiveEntity, letter: DeadLetter): Promise<void> {
  if (!isBinlogName(letter.binlog)) return;
  const stores = looksOf(entity).flatMap(({ store, access }) => (access === 'open' ? [store] : []));
  await storeActivities().recordRefusal({
    ...held(entity),
    stores,
    refusal: {
      serverUuid: parseServerUuid(letter.serverUuid),
      binlog: letter.binlog,
      reason: letter.code,
      detail: letter.message,
    },
  });
}

function refOf({ serverUuid, binlog, createdAt, lengthBytes }: LetterRef): LetterRef {
  return { serverUuid, binlog, createdAt, lengthBytes };
}

function sameLog(a: LetterRef, b: LetterRef): boolean {
  return (
    a.serverUuid === b.serverUuid &&
    a.binlog === b.binlog &&
    a.createdAt === b.createdAt &&
    a.lengthBytes === b.lengthBytes
  );
}
