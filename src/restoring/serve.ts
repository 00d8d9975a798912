import { randomBytes } from 'node:crypto';
import { AppError } from '../domain/errors.ts';
import { GtidSet } from '../domain/gtid-set.ts';
import { explainReason } from '../domain/plan-reasons.ts';
import type { ReplicaState, ServePlan } from '../domain/serve-plan.ts';
import { type ArchiveSource, startArchiveSource } from '../replay/archive-source.ts';
import type { SourceNotice } from '../replay/connection.ts';
import type { SourceSegment } from '../replay/dump-plan.ts';
import type { Archive } from './archive.ts';
import { readSegmentFrom } from './fallover.ts';
import { makeServePlan, type PlanInput } from './make-plan.ts';

export interface ServeOptions {
  readonly archive: Archive;
  readonly input: PlanInput;
  readonly replica: ReplicaState;
  /** Loopback; 0 takes a free one. */
  readonly port: number;
  readonly signal: AbortSignal;
  readonly onNotice: (notice: SourceNotice) => void;
}

/** An archive source that stands alone, and how to log in to it. */
export interface Serving {
  readonly source: ArchiveSource;
  readonly plan: Extract<ServePlan, { kind: 'ready' }>;
  readonly user: string;
  readonly password: string;
  /** Rejects where a replica came that lacks what was logged before: it would have a hole for ever. */
  readonly refusal: Promise<never>;
}

const USER = 'pitrail_archive';

/**
 * Serves archived transactions up to a target to replicas of the user's, over the replication protocol.
 * @throws refused `CannotServe`, `CannotListen`; usage; what reading a segment throws
 */
export async function serveArchive(options: ServeOptions): Promise<Serving> {
  const { archive, input, replica, port, signal, onNotice } = options;
  const plan = await makeServePlan(archive, input, replica, signal);
  if (plan.kind === 'refused') throw cannotServe(input.target, plan);
  const password = randomBytes(15).toString('hex');
  const { promise: refusal, reject } = Promise.withResolvers<never>();
  const source = await startArchiveSource({
    segments: segmentsOf(archive, plan),
    listen: { host: '127.0.0.1', port },
    user: USER,
    password,
    onNotice(notice) {
      onNotice(notice);
      if (notice.kind !== 'dump-started') return;
      const lacking = plan.required.subtract(GtidSet.parse(notice.has));
      if (!lacking.isEmpty) reject(replicaTooOld(lacking));
    },
  });
  return { source, plan, user: USER, password, refusal };
}

function segmentsOf(archive: Archive, plan: Serving['plan']): SourceSegment[] {
  return plan.selected.map(({ segment, send }) => {
    const { facts, entry } = segment;
    const { serverUuid, binlog, lengthBytes } = facts;
    const open: SourceSegment['open'] = (signal) =>
      readSegmentFrom(archive.reader, { ...facts, object: entry.object, stores: entry.stores }, signal);
    return { serverUuid, binlog, lengthBytes, send, open };
  });
}

function cannotServe(target: string, { reason }: Extract<ServePlan, { kind: 'refused' }>): AppError {
  return new AppError({
    code: 'CannotServe',
    kind: 'refused',
    message: `A replica cannot be brought exactly to ${target} from this archive: ${explainReason(reason)}`,
    hint: 'Choose another target, or a replica that has what is missing (--from-gtids).',
    facts: { target, reason: reason.code },
  });
}

function replicaTooOld(lacking: GtidSet): AppError {
  const gtids = lacking.ranges().slice(0, 20);
  return new AppError({
    code: 'ReplicaTooOld',
    kind: 'refused',
    message: `A replica came that lacks ${lacking.count()} transactions from before what is served (${gtids.join(', ')}): it would have a hole for ever, so it was sent away.`,
    hint: 'Start from a base backup that has them, or give what the replica has with --from-gtids.',
    facts: { lacking: gtids },
  });
}
