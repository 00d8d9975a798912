import type { ArchiveDecision } from '../domain/archive-plan.ts';
import { assertNever } from '../domain/errors.ts';
import type { ServerUuid } from '../domain/identity.ts';
import type { LetterRef, LogProblem } from './discovery.ts';
import type { SourceLog } from './source-logs.ts';
import type { LogRef } from './staging.ts';

const REFUSAL_CODES: Readonly<Record<'bad-name' | 'encrypted' | 'gtid-mode', string>> = {
  'bad-name': 'BinlogNameUnsafe',
  encrypted: 'BinlogEncrypted',
  'gtid-mode': 'GtidModeOff',
};

/** What a decision means for the operator; nothing where none is needed. Pure. */
export function problemOf(
  serverUuid: ServerUuid,
  source: SourceLog,
  decision: ArchiveDecision,
): LogProblem[] {
  const letter = letterOf(serverUuid, source);
  switch (decision.kind) {
    case 'gap':
      return [
        {
          ...letter,
          code: 'ArchiveGap',
          kind: 'refused',
          message: decision.detail,
          hint: 'Accept the gap (pitrail archive --accept-gap) and take a base backup after it.',
        },
      ];
    case 'read-head':
      return [
        {
          ...letter,
          code: source.problem?.code ?? 'BinlogUnreadable',
          kind: source.problem?.kind ?? 'corrupt',
          message: source.problem?.message ?? `The beginning of ${source.name} was not read.`,
          hint: source.problem?.hint ?? 'Compare the file with the server.',
        },
      ];
    case 'refused':
      return decision.reason === 'set-aside' || decision.reason === 'late'
        ? []
        : [
            {
              ...letter,
              code: REFUSAL_CODES[decision.reason],
              kind: 'refused',
              message: decision.detail,
              hint: 'Later logs of this server wait until it is mended, or the gap is accepted.',
            },
          ];
    case 'already-archived':
    case 'recognized':
    case 'archive':
    case 'start-timeline':
    case 'waits':
      return [];
    default:
      return assertNever(decision);
  }
}

/** A history that nobody archived before a newer one began: what is restored by default is the newest timeline. */
export function overtaken({ serverUuid, binlog, createdAt, lengthBytes }: LogRef): LogProblem {
  return {
    ...{ serverUuid, binlog, createdAt, lengthBytes },
    code: 'HistoryOvertaken',
    kind: 'refused',
    message: `${binlog} lies staged from when this source was the server ${serverUuid}, of which nothing is archived, and the archive of a later server has begun: as the newest timeline this older history would be what is restored by default.`,
    hint: 'Keep a copy of it from the staging folder if you want it, then give it up (pitrail archive --accept-gap).',
  };
}

function letterOf(serverUuid: ServerUuid, source: SourceLog): LetterRef {
  return {
    serverUuid,
    binlog: source.name,
    createdAt: source.peek?.createdAt ?? '',
    lengthBytes: source.sizeBytes,
  };
}
