import { setTimeout as sleep } from 'node:timers/promises';
import type { ArchiveStatus } from '../../../workflows/contracts/archive.ts';
import type { PitrailConfig } from '../../config/types.ts';
import { AppError } from '../../domain/errors.ts';
import type { CliContext } from '../command.ts';
import { connectTemporal, type TemporalSession } from '../temporal-client.ts';
import { asked, assertWorker, entityId, entityStatus, type SourceEntity } from './entity.ts';
import { describeStatus } from './signal.ts';

const POLL_MS = 300;
const PATIENCE_MS = 120_000;

export interface LetterDecision {
  readonly kind: 'accept-gap' | 'retry';
  readonly binlog: string;
  readonly reason: string;
}

/** Sends an operator's decision on a dead letter, and waits until it is carried out. */
export async function decideLetter(
  { output, signal }: CliContext,
  config: PitrailConfig,
  entity: SourceEntity,
  decision: LetterDecision,
): Promise<number> {
  const session = await connectTemporal(config.temporal);
  try {
    await assertWorker(session, entity.region);
    assertListed(await entityStatus(session, entity), decision.binlog);
    const { kind, binlog, reason } = decision;
    const handle = session.client.workflow.getHandle(entityId(entity));
    await asked(entity, () =>
      handle.signal(kind === 'accept-gap' ? 'acceptGap' : 'retryRefused', { binlog, reason }),
    );
    const status = await untilCarriedOut(session, entity, binlog, signal);
    output.result(status, () => describeStatus(status));
    return 0;
  } finally {
    await session.close();
  }
}

function assertListed({ deadLetters }: ArchiveStatus, binlog: string): void {
  const named = deadLetters.filter(
    (letter) => letter.binlog === binlog || `${letter.serverUuid}/${letter.binlog}` === binlog,
  );
  if (new Set(named.map(({ serverUuid }) => serverUuid)).size === 1) return;
  if (named.length > 0) throw ambiguous(binlog, named);
  const names = deadLetters.map((letter) => letter.binlog);
  throw new AppError({
    code: 'NoSuchDeadLetter',
    kind: 'usage',
    message: `${binlog} is not on the dead-letter list, so there is nothing to decide.`,
    hint: names.length === 0 ? 'The list is empty.' : `On the list: ${names.join(', ')}.`,
    facts: { binlog, deadLetters: names },
  });
}

function ambiguous(binlog: string, named: ArchiveStatus['deadLetters']): AppError {
  const names = named.map((letter) => `${letter.serverUuid}/${letter.binlog}`);
  return new AppError({
    code: 'AmbiguousDeadLetter',
    kind: 'usage',
    message: `${binlog} is on the dead-letter list for ${named.length} servers, so nothing was decided.`,
    hint: `Say which: ${names.join(' or ')}.`,
    facts: { binlog, deadLetters: names },
  });
}

async function untilCarriedOut(
  session: TemporalSession,
  entity: SourceEntity,
  binlog: string,
  signal: AbortSignal,
): Promise<ArchiveStatus> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const status = await entityStatus(session, entity);
    const pending = status.decisions.find((decision) => decision.binlog === binlog);
    if (pending === undefined) return status;
    if (pending.behind !== null) throw tooEarly(binlog, pending.behind);
    const { lastFailure } = status;
    if (lastFailure?.code === 'StoreUnknown') throw storeAway(binlog, lastFailure);
    if (Date.now() > deadline) throw notCarriedOut(binlog, status);
    await sleep(POLL_MS, undefined, { signal });
  }
}

function tooEarly(binlog: string, behind: string): AppError {
  return new AppError({
    code: 'DecisionWaits',
    kind: 'unavailable',
    message: `The decision on ${binlog} is kept, and is carried out once ${behind} is archived or decided on: until then it is not known which transactions are lost.`,
    hint: `See pitrail status. Where ${behind} is a dead letter, decide on it too.`,
    facts: { binlog, behind },
  });
}

function storeAway(binlog: string, { message, hint }: { message: string; hint: string }): AppError {
  return new AppError({
    code: 'DecisionWaits',
    kind: 'unavailable',
    message: `The decision on ${binlog} is kept: ${message}`,
    hint,
    facts: { binlog },
  });
}

function notCarriedOut(binlog: string, { lastFailure }: ArchiveStatus): AppError {
  return new AppError({
    code: 'DecisionPending',
    kind: 'unavailable',
    message: `The decision on ${binlog} was received and is not carried out yet: ${lastFailure?.message ?? 'archiving is paused or busy.'}`,
    hint: 'It is tried again by itself; see pitrail status.',
    facts: { binlog },
  });
}
