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
  const names = deadLetters.map((letter) => letter.binlog);
  if (names.includes(binlog)) return;
  throw new AppError({
    code: 'NoSuchDeadLetter',
    kind: 'usage',
    message: `${binlog} is not on the dead-letter list, so there is nothing to decide.`,
    hint: names.length === 0 ? 'The list is empty.' : `On the list: ${names.join(', ')}.`,
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
    if (!status.decisions.some((decision) => decision.binlog === binlog)) return status;
    if (Date.now() > deadline) throw notCarriedOut(binlog, status);
    await sleep(POLL_MS, undefined, { signal });
  }
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
