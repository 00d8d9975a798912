import { type AcceptedGap, acceptGap, askEveryStore } from '../src/archiving/accept-gap.ts';
import { auditGap, auditRefusal } from '../src/archiving/audit-archive.ts';
import { commitSegment, type Signature } from '../src/archiving/commit.ts';
import { type DiscoverOptions, discover, stageClosed, viewSource } from '../src/archiving/discover.ts';
import type { LetterRef } from '../src/archiving/discovery.ts';
import { requireFacts } from '../src/archiving/facts-file.ts';
import { claimReachable, type ReachableClaim } from '../src/archiving/hold.ts';
import type { Acceptance } from '../src/archiving/judge-gap.ts';
import { configuredStores, type StoreLook } from '../src/archiving/read-stores.ts';
import { type RefusalOutcome, type RefusalRecord, recordRefusal } from '../src/archiving/refuse.ts';
import { releaseLog } from '../src/archiving/release.ts';
import {
  knownRepositoryId,
  type Repository,
  repositoryIn,
  signAs,
  wallClock,
} from '../src/archiving/repositories.ts';
import type { ArchiveResources, ArchiveSourceContext, ServerContext } from '../src/archiving/resources.ts';
import { rotateBinlog } from '../src/archiving/rotate.ts';
import { type LogRef, stagedFiles } from '../src/archiving/staging.ts';
import { pickCluster } from '../src/config/pick.ts';
import { AppError } from '../src/domain/errors.ts';
import { parseSha256 } from '../src/domain/identity.ts';
import type { StoreBoundary } from '../src/domain/routing/store-boundaries.ts';
import type { StorePolicy } from '../src/domain/routing/store-policy.ts';
import { readServerFacts } from '../src/mysql/facts.ts';
import { archiveStoreCareActivities, type StoreTry } from './archive-stores.ts';
import type { StoredIn } from './archive-transfers.ts';
import { withHeartbeat } from './heartbeat.ts';
import { type HeldName, onSource, type SourceName } from './on-source.ts';

/** What the workflow must know of the configuration. */
export interface ArchiveSettings {
  /** Name of the host worker that sees the source's files. */
  readonly host: string;
  readonly pollSeconds: number;
  readonly rotateSeconds: number;
  readonly parallelTransfers: number;
  /** In the order of preference. */
  readonly stores: readonly { readonly store: string; readonly policy: StorePolicy }[];
}

export interface ClaimInput extends SourceName {
  /** All stores, with the policies of the configuration. */
  readonly stores: readonly StoreLook[];
  /** Handoffs between stores that a store may lack. */
  readonly boundaries: readonly StoreBoundary[];
}

export interface DiscoverInput extends SourceName {
  /** All stores, as they count now. */
  readonly stores: readonly StoreLook[];
  /** Where each catalog stood when the workflow last saw it. */
  readonly heads: readonly { readonly store: string; readonly sequence: number; readonly sha256: string }[];
  /** Dead letters that wait for an operator. */
  readonly setAside: readonly LetterRef[];
  /** Logs that an operator gave up. */
  readonly givenUp: readonly LetterRef[];
}

export interface CommitInput extends HeldName, StoreTry {
  readonly log: LogRef;
  readonly stored: StoredIn;
}

export interface CommitSummary {
  /** GTIDs of the log, canonical. */
  readonly gtids: string;
  readonly serverUuid: string;
  readonly binlog: string;
  readonly timeline: number;
  readonly lastCommit: string | null;
}

export interface LogsInput extends SourceName {
  readonly logs: readonly LogRef[];
}

export interface AcceptGapInput extends HeldName {
  readonly stores: readonly StoreLook[];
  readonly heads: DiscoverInput['heads'];
  readonly acceptance: Acceptance;
  /** Logs that were given up before, and those that are given up together with this one. */
  readonly givenUp: readonly LetterRef[];
  readonly reason: string;
}

export interface RefusalInput extends HeldName {
  /** Stores that may be asked. */
  readonly stores: readonly string[];
  readonly refusal: RefusalRecord;
}

/** Activities of the control queue. */
export function archiveControlActivities(resources: ArchiveResources) {
  return {
    /** Reads what the workflow must know of pitrail.yaml. */
    archiveSettings: ({ cluster, source }: SourceName): Promise<ArchiveSettings> =>
      withHeartbeat(async () => {
        const { cluster: found, source: server } = resources.server(cluster, source);
        const { pollSeconds, rotateSeconds, parallelTransfers } = found.archive;
        const stores = found.stores.map(({ id, policy }) => ({ store: id, policy }));
        return { host: server.workerHost, pollSeconds, rotateSeconds, parallelTransfers, stores };
      }),
  };
}

/** Activities of the store queue. */
export function archiveStoreActivities(resources: ArchiveResources) {
  return {
    /** Writes a refused log down in the catalogs that can take an entry now. */
    recordRefusal: (input: RefusalInput): Promise<RefusalOutcome> =>
      withHeartbeat(async () => {
        const repositories = await resources.repositories(input.cluster);
        const asked = input.stores.map((store) => repositoryIn(repositories, store));
        const outcome = await recordRefusal(asked, input.refusal, signHeld('store', input));
        await auditRefusal(pickCluster(resources.config, input.cluster), input.refusal);
        return outcome;
      }),
  };
}

/** Activities of the queue of the host where the source's files lie. */
export function archiveHostActivities(resources: ArchiveResources) {
  const on = onSource(resources);
  return {
    ...archiveStoreCareActivities(resources),

    /** Asks in which epoch the source may be written, and whether at all. */
    claimHold: (input: ClaimInput) => withHeartbeat(() => claimOrStage(resources, input)),

    /** Looks at server, staging folder and catalogs, and decides the round. */
    discoverBinlogs: (input: DiscoverInput) =>
      on(input, ({ withSession, ...context }) =>
        withSession((session) => {
          const { setAside, givenUp, stores } = input;
          const look = { ...context, stores, session, heads: headsOf(input) };
          return discover({ ...look, setAside, givenUp, nowMs: Date.now() });
        }),
      ),

    /** Links what the server has closed into the staging folder, where no round looks: transfers last, or it failed. */
    stageClosed: ({ cluster, source }: SourceName) =>
      withHeartbeat(async () =>
        stageAll(resources.server(cluster, source), await openedStores(resources, cluster)),
      ),

    /** Puts closed logs into the staging folder. Returns how many; the first that vanished ends it. */
    stageBinlogs: (input: LogsInput) =>
      on(input, ({ access }, { signal, report }) =>
        access.stage(input.logs, {
          signal,
          onProgress: (doneBytes, totalBytes) => report({ doneBytes, totalBytes }),
        }),
      ),

    /** Names one stored log in the catalog of its store: from then on it is archived there. */
    commitSegment: (input: CommitInput) => on(input, (context) => commitStored(context, input)),

    /** Removes logs that are archived from the staging folder. */
    releaseBinlogs: (input: LogsInput) =>
      on(input, async ({ source }) => {
        for (const log of input.logs) await releaseLog(source.stagingDir, log);
      }),

    /** Closes the open binlog. */
    rotateBinlog: (input: SourceName) => on(input, ({ withSession }) => withSession(rotateBinlog)),

    /** Writes down that transactions are lost, where it is known which; returns them. */
    acceptGap: (input: AcceptGapInput) =>
      on(input, async (context) => {
        const outcome = await acceptLetter(context, input);
        if (outcome.kind === 'accepted') await auditGap(context.cluster, gapOf(input, outcome.missingGtids));
        return outcome;
      }),
  };
}

export type ArchiveControlActivities = ReturnType<typeof archiveControlActivities>;
export type ArchiveStoreActivities = ReturnType<typeof archiveStoreActivities>;
export type ArchiveHostActivities = ReturnType<typeof archiveHostActivities>;

function gapOf({ cluster, source, acceptance, reason }: AcceptGapInput, lostGtids: string) {
  const { serverUuid, binlog } = acceptance.letter;
  return { cluster, source, serverUuid, binlog, lostGtids, reason };
}

function signHeld(role: string, { source, epoch }: HeldName): Signature {
  return signAs({ role, source, epoch }, wallClock);
}

/** Until it is known whether the source may be written, what is closed is staged all the same. */
async function claimOrStage(
  resources: ArchiveResources,
  { cluster, source, stores, boundaries }: ClaimInput,
): Promise<ReachableClaim> {
  const server = resources.server(cluster, source);
  try {
    const repositories = await resources.repositories(cluster);
    const { serverUuid } = await server.withSession(readServerFacts);
    const claimant = { source, serverUuid, role: server.source.role };
    return await claimReachable(repositories, { claimant, looks: stores, boundaries });
  } catch (error) {
    await stageAll(server, []);
    throw error;
  }
}

function headsOf({ heads }: Pick<DiscoverInput, 'heads'>): DiscoverOptions['heads'] {
  return new Map(
    heads.map(({ store, sequence, sha256 }) => [store, { sequence, sha256: parseSha256(sha256) }]),
  );
}

/** The stores of a cluster, whose catalogs may be known; none where they cannot be opened now. */
async function openedStores(resources: ArchiveResources, cluster: string): Promise<readonly Repository[]> {
  try {
    return (await resources.repositories(cluster)).all;
  } catch (error) {
    // The round says so; staging needs neither key nor store.
    if (error instanceof AppError) return [];
    throw error;
  }
}

function stageAll(server: ServerContext, repositories: readonly Repository[]): Promise<void> {
  return server.withSession((session) =>
    stageClosed(
      { ...server, stores: configuredStores(server.cluster), session, setAside: [], givenUp: [] },
      repositories,
    ),
  );
}

async function commitStored(
  { source, repositories }: ArchiveSourceContext,
  input: CommitInput,
): Promise<CommitSummary> {
  const { log, stored } = input;
  const { store, object } = stored;
  const sign = signHeld('host', input);
  const purpose = { repositoryId: await knownRepositoryId(repositories), key: repositories.key };
  const { segment } = await requireFacts(stagedFiles(source.stagingDir, log).facts, purpose);
  const timeline = await commitSegment(repositoryIn(repositories, store).catalog, segment, object, sign);
  const { serverUuid, binlog, lastCommit, gtids } = segment;
  return { serverUuid, binlog, timeline, lastCommit, gtids };
}

async function acceptLetter(context: ArchiveSourceContext, input: AcceptGapInput): Promise<AcceptedGap> {
  const { acceptance, givenUp, reason, stores } = input;
  const { repositories } = context;
  const sign = signHeld('host', input);
  await askEveryStore(repositories);
  return context.withSession(async (session) => {
    // Looked at anew: what was archived, staged or purged since the letter was written decides what is lost.
    const look = { ...context, stores, session, setAside: [], givenUp };
    const view = await viewSource({ ...look, heads: headsOf(input), nowMs: Date.now() });
    return acceptGap({ view, repositories, acceptance, reason, sign });
  });
}
