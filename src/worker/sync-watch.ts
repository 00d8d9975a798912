import type { ArchiveHostActivities, ArchiveStoreActivities } from '../../activities/archive.ts';
import type { ArchiveTransferActivities } from '../../activities/archive-transfers.ts';
import type { SourceName } from '../../activities/on-source.ts';
import type { Discovery } from '../archiving/discovery.ts';
import type { PitrailConfig } from '../config/types.ts';
import {
  binlogArchived,
  binlogsDiscovered,
  binlogsUploaded,
  declareSync,
  gtidGapDetected,
  handoffEnded,
  phaseDone,
  retentionSeen,
  type SyncPhase,
  type SyncPlace,
  sourceStandsBy,
  storeHandoffPostponed,
  storeSeen,
} from '../telemetry/sync-events.ts';

type Archiving = ArchiveHostActivities & ArchiveStoreActivities & ArchiveTransferActivities;
type Input<Name extends keyof Archiving> = Parameters<Archiving[Name]>[0];
type Result<Name extends keyof Archiving> = Awaited<ReturnType<Archiving[Name]>>;
type Watchers = {
  readonly [Name in keyof Archiving]?: (input: Input<Name>, result: Result<Name>) => void;
};

/** Which phase of a sync an activity serves. */
const PHASES: Partial<Readonly<Record<string, SyncPhase>>> = {
  claimHold: 'discovery',
  discoverBinlogs: 'discovery',
  stageBinlogs: 'validation',
  stageClosed: 'validation',
  sealSegment: 'validation',
  uploadSegment: 'transport',
  fillStore: 'transport',
  commitSegment: 'commit',
} satisfies { readonly [Name in keyof Archiving]?: SyncPhase };

/** The phase of an activity; undefined for one that is no part of archiving. */
export function phaseOf(activityType: string): SyncPhase | undefined {
  return PHASES[activityType] ?? (OTHERS.has(activityType) ? 'other' : undefined);
}

const OTHERS: ReadonlySet<string> = new Set([
  'releaseBinlogs',
  'rotateBinlog',
  'reachStore',
  'switchStore',
  'bringBoundaries',
  'auditSwitch',
  'validateSwitch',
  'acceptGap',
  'recordRefusal',
  'archiveSettings',
]);

/** Binlogs of one source, or gaps of one cluster, that are remembered; so many that a backlog of weeks fits. */
const MAX_KNOWN = 20_000;

/** Turns what archiving's activities did into metrics; the activities themselves know nothing of it. */
export class SyncWatch {
  readonly #config: PitrailConfig;
  readonly #now: () => number;
  readonly #known = new Map<string, Set<string>>();

  constructor(config: PitrailConfig, now: () => number) {
    this.#config = config;
    this.#now = now;
    for (const { name, sources, stores } of config.clusters) {
      for (const { id } of sources) {
        declareSync(
          name,
          id,
          stores.map((store) => this.placeOf(name, id, store.id)),
        );
      }
    }
  }

  /**
   * A place in full; `mysql` is the provider where no store is meant. What the configuration does not
   * name is left out: anybody may start a workflow with other names, and labels must have bounds.
   */
  placeOf(cluster: string, source: string, store: string): SyncPlace {
    const found = this.#config.clusters.find(({ name }) => name === cluster);
    const known = found?.stores.find(({ id }) => id === store);
    return {
      cluster: found?.name ?? '',
      source: found?.sources.find(({ id }) => id === source)?.id ?? '',
      store: known?.id ?? '',
      provider: known?.kind ?? 'mysql',
    };
  }

  /** Is told of every activity that came to its end; `input` and `result` are what it took and gave, and how long it ran. */
  done(activityType: string, input: unknown, result: unknown, elapsedMs: number): void {
    const phase = PHASES[activityType];
    if (phase !== undefined) {
      const { cluster, source } = input as SourceName;
      phaseDone(this.placeOf(cluster, source, ''), phase, elapsedMs);
    }
    const watchers: Watchers = this.#watchers;
    const watcher = watchers[activityType as keyof Archiving] as
      | ((input: unknown, result: unknown) => void)
      | undefined;
    watcher?.(input, result);
  }

  readonly #watchers: Watchers = {
    // A source that stands by asks again at each poll: what lanes that were under way showed after it goes then.
    claimHold: ({ cluster, source }, { claim }) => {
      if (claim.kind !== 'held') sourceStandsBy({ cluster, source });
    },
    discoverBinlogs: (input, found) => {
      const fresh = this.#fresh(`${input.cluster}/${input.source}`, idsOf(found));
      binlogsDiscovered(input, { fresh, queued: queueDepth(found) });
      retentionSeen(input, minutesLeft(found));
      for (const { store, access } of input.stores) {
        const standing = found.stores.find((it) => it.store === store);
        const circuit = access === 'held-back' ? 'open' : 'closed';
        storeSeen(this.placeOf(input.cluster, input.source, store), {
          backlog: standing?.backlog.logs ?? 0,
          circuit,
        });
      }
    },
    uploadSegment: ({ cluster, source }, { store }) =>
      binlogsUploaded(this.placeOf(cluster, source, store), 1),
    fillStore: ({ cluster, source, to: store }, outcome) => {
      if (outcome.kind !== 'filled') return;
      binlogsUploaded(this.placeOf(cluster, source, store), outcome.logs);
      for (const lastCommit of outcome.lastCommits) {
        const lastCommitMs = lastCommit === null ? null : Date.parse(lastCommit);
        binlogArchived({ cluster, source, store }, { lastCommitMs, nowMs: this.#now() });
      }
    },
    commitSegment: ({ cluster, source, stored }, { lastCommit }) => {
      const lastCommitMs = lastCommit === null ? null : Date.parse(lastCommit);
      const { store } = stored;
      binlogArchived({ cluster, source, store }, { lastCommitMs, nowMs: this.#now() });
    },
    switchStore: ({ cluster, detectedAtMs }, { kind }) => {
      if (kind === 'not-yet') return storeHandoffPostponed(cluster);
      const seconds = Math.max(0, this.#now() - detectedAtMs) / 1000;
      handoffEnded({ cluster, subject: 'store', outcome: 'switched', seconds });
    },
    recordRefusal: ({ cluster, refusal }) => {
      // Written down anew after a gap before it was accepted: it is the same gap.
      const gap = [refusal.serverUuid, refusal.binlog, refusal.detail].join('|');
      if (refusal.reason === 'ArchiveGap' && this.#fresh(`gaps of ${cluster}`, [gap]) > 0) {
        gtidGapDetected(cluster, 'archive');
      }
    },
  };

  /** How many of these this process had not met before. */
  #fresh(kind: string, ids: readonly string[]): number {
    const known = this.#known.get(kind) ?? new Set();
    this.#known.set(kind, known);
    const fresh = [...new Set(ids)].filter((id) => !known.has(id));
    for (const id of fresh) known.add(id);
    // A set gives its members in the order in which they came: the oldest go first.
    for (const id of known) {
      if (known.size <= MAX_KNOWN) break;
      known.delete(id);
    }
    return fresh.length;
  }
}

/** Stores get logs in order, so the one that lacks most lacks all that any of them lacks. */
function queueDepth({ backlog, stores }: Discovery): number {
  return Math.max(backlog.logs, ...stores.map((store) => store.backlog.logs));
}

function minutesLeft({ retention }: Discovery): number {
  return retention.reason === 'counting-down' ? retention.minutesLeft : Number.POSITIVE_INFINITY;
}

/** What tells the binlogs that were found apart from others of their names. */
function idsOf({ stage, archive }: Discovery): string[] {
  return [...stage, ...archive.map(({ log }) => log)].map(
    ({ serverUuid, binlog, createdAt, lengthBytes }) => `${serverUuid}|${binlog}|${createdAt}|${lengthBytes}`,
  );
}
