import type { RefusalAudit } from '../../../src/telemetry/audit-events.ts';

/** A refusal of a binlog. */
export function refusal(binlog: string): RefusalAudit {
  return {
    action: 'refusal',
    cluster: 'shop',
    serverUuid: '11111111-1111-1111-1111-111111111111',
    binlog,
    reason: 'BinlogCorrupt',
    detail: `${binlog} has a bad checksum`,
  };
}
