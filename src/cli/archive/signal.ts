import type { ArchiveStatus } from '../../../workflows/contracts/archive.ts';
import type { PitrailConfig } from '../../config/types.ts';
import type { CliContext } from '../command.ts';
import { connectTemporal } from '../temporal-client.ts';
import { formatCount } from '../words.ts';
import { asked, assertWorker, entityId, entityStatus, type SourceEntity } from './entity.ts';
import { describeLetter } from './once.ts';

const SIGNALS = { pause: 'pause', resume: 'resume', rotate: 'rotateNow' } as const;

/** Sends a signal to the workflow of a source, and shows its status after it. */
export async function sendSignal(
  { output }: CliContext,
  config: PitrailConfig,
  entity: SourceEntity,
  kind: keyof typeof SIGNALS,
): Promise<number> {
  const session = await connectTemporal(config.temporal);
  try {
    const handle = session.client.workflow.getHandle(entityId(entity));
    await asked(entity, () => handle.signal(SIGNALS[kind], {}));
    await assertWorker(session, entity.region);
    const status = await entityStatus(session, entity);
    output.result(status, () => describeStatus(status));
    return 0;
  } finally {
    await session.close();
  }
}

/** The status of a source for people, in a few lines. */
export function describeStatus(status: ArchiveStatus): string {
  const { cluster, source, mode, phase, backlog, deadLetters, lastFailure, rotationFailure } = status;
  const failures = [lastFailure, rotationFailure].filter((failure) => failure !== null);
  return [
    `${cluster}/${source}: ${mode}, ${phase}; ${formatCount(backlog.logs, 'closed binlog')} to archive`,
    ...failures.map(({ code, message }) => `  ${code}: ${message}`),
    ...deadLetters.map(describeLetter),
  ].join('\n');
}
