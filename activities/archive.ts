import { type AcceptedGap, acceptGap } from '../src/archiving/accept-gap.ts';
import { commitSegment, type Signature } from '../src/archiving/commit.ts';
import { discover, viewSource } from '../src/archiving/discover.ts';
import type { LetterRef, PlannedLog } from '../src/archiving/discovery.ts';
import { requireFacts } from '../src/archiving/facts-file.ts';
import type { Acceptance } from '../src/archiving/judge-gap.ts';
import { type RefusalRecord, recordRefusal } from '../src/archiving/refuse.ts';
import { releaseLog } from '../src/archiving/release.ts';
import { repositoryIn, sharedRepositoryId, signAs, wallClock } from '../src/archiving/repositories.ts';
import type { ArchiveResources, ArchiveSourceContext } from '../src/archiving/resources.ts';
import { rotateBinlog } from '../src/archiving/rotate.ts';
import { sealSegment } from '../src/archiving/seal-segment.ts';
import { stageLogs } from '../src/archiving/stage.ts';
import { type LogRef, stagedFiles } from '../src/archiving/staging.ts';
import { successorGtids } from '../src/archiving/successor.ts';
import { uploadSegment } from '../src/archiving/upload.ts';
import { parseSha256 } from '../src/domain/identity.ts';
import type { StoredObject } from '../src/domain/segment.ts';
import { type Beat, withHeartbeat } from './heartbeat.ts';

/** Names a source in pitrail.yaml; everything else comes from there, so no secret enters a history. */
export interface SourceName {
  readonly cluster: string;
  readonly source: string;
}

/** What the workflow must know of the configuration. */
export interface ArchiveSettings {
  /** Name of the host worker that sees the source's files. */
  readonly host: string;
  readonly pollSeconds: number;
  readonly rotateSeconds: number;
  readonly parallelTransfers: number;
}

export interface DiscoverInput extends SourceName {
  /** Where each catalog stood when the workflow last saw it. */
  readonly heads: readonly { readonly store: string; readonly sequence: number; readonly sha256: string }[];
  /** Dead letters that wait for an operator. */
  readonly setAside: readonly LetterRef[];
  /** Logs that an operator gave up. */
  readonly givenUp: readonly LetterRef[];
}

export interface SealInput extends SourceName {
  readonly planned: PlannedLog;
}

/** What sealing made, in a few numbers; the facts themselves stay beside the sealed file. */
export interface SealSummary {
  readonly key: string;
  readonly transactions: number;
  readonly lengthBytes: number;
  readonly storedBytes: number;
}

export interface UploadInput extends SourceName {
  readonly log: LogRef;
  readonly store: string;
}

/** A segment as it lies in one store. */
export interface StoredIn {
  readonly store: string;
  readonly object: StoredObject;
}

export interface CommitInput extends SourceName {
  readonly log: LogRef;
  readonly stored: readonly StoredIn[];
}

export interface CommitSummary {
  readonly serverUuid: string;
  readonly binlog: string;
  readonly timeline: number;
  readonly lastCommit: string | null;
}

export interface LogsInput extends SourceName {
  readonly logs: readonly LogRef[];
}

export interface AcceptGapInput extends SourceName {
  readonly acceptance: Acceptance;
  /** Logs that were given up before, and those that are given up together with this one. */
  readonly givenUp: readonly LetterRef[];
  readonly reason: string;
}

export interface RefusalInput {
  readonly cluster: string;
  readonly refusal: RefusalRecord;
}

/** Activities of the control queue. */
export function archiveControlActivities(resources: ArchiveResources) {
  return {
    /** Reads what the workflow must know of pitrail.yaml. */
    archiveSettings: ({ cluster, source }: SourceName): Promise<ArchiveSettings> =>
      withHeartbeat(async () => {
        const { cluster: found, source: server } = await resources.source(cluster, source);
        const { pollSeconds, rotateSeconds, parallelTransfers } = found.archive;
        return { host: server.workerHost, pollSeconds, rotateSeconds, parallelTransfers };
      }),
  };
}

/** Activities of the store queue. */
export function archiveStoreActivities(resources: ArchiveResources) {
  return {
    /** Writes a refused log down in every catalog. */
    recordRefusal: ({ cluster, refusal }: RefusalInput): Promise<void> =>
      withHeartbeat(async () => {
        await recordRefusal(await resources.repositories(cluster), refusal, signAs('store', wallClock));
      }),
  };
}

/** Activities of the queue of the host where the source's files lie. */
export function archiveHostActivities(resources: ArchiveResources) {
  const sign = signAs('host', wallClock);
  const on = <T>(
    { cluster, source }: SourceName,
    work: (context: ArchiveSourceContext, beat: Beat) => Promise<T>,
  ): Promise<T> => withHeartbeat(async (beat) => work(await resources.source(cluster, source), beat));
  const look = (input: DiscoverInput, { source, repositories, cache, withSession }: ArchiveSourceContext) =>
    withSession((session) =>
      discover({ source, repositories, cache, session, ...lookOptions(input), nowMs: Date.now() }),
    );
  return {
    /** Looks at server, staging folder and catalogs, and decides the round. */
    discoverBinlogs: (input: DiscoverInput) => on(input, (context) => look(input, context)),

    /** Links closed logs into the staging folder. Returns how many; the first that vanished ends it. */
    stageBinlogs: (input: LogsInput) =>
      on(input, ({ source }) => stageLogs(source.stagingDir, source.binlogDir, input.logs)),

    /** Scans and seals one staged log. */
    sealSegment: (input: SealInput) =>
      on(input, (context, beat) => sealPlanned(context, input.planned, beat)),

    /** Stores one sealed log in one store, and reads it back. */
    uploadSegment: (input: UploadInput) =>
      on(input, (context, beat) =>
        context.budget.run(input.log.lengthBytes, beat.signal, () => uploadTo(context, input, beat)),
      ),

    /** Names one stored log in the catalogs: from then on it is archived. */
    commitSegment: (input: CommitInput) => on(input, (context) => commitEverywhere(context, input, sign)),

    /** Removes logs that are archived from the staging folder. */
    releaseBinlogs: (input: LogsInput) =>
      on(input, async ({ source }) => {
        for (const log of input.logs) await releaseLog(source.stagingDir, log);
      }),

    /** Closes the open binlog. */
    rotateBinlog: (input: SourceName) => on(input, ({ withSession }) => withSession(rotateBinlog)),

    /** Writes down that transactions are lost, where it is known which; returns them. */
    acceptGap: (input: AcceptGapInput) => on(input, (context) => acceptLetter(context, input, sign)),
  };
}

export type ArchiveControlActivities = ReturnType<typeof archiveControlActivities>;
export type ArchiveStoreActivities = ReturnType<typeof archiveStoreActivities>;
export type ArchiveHostActivities = ReturnType<typeof archiveHostActivities>;

function lookOptions(input: DiscoverInput) {
  const { heads, setAside, givenUp } = input;
  const known = heads.map(
    ({ store, sequence, sha256 }) => [store, { sequence, sha256: parseSha256(sha256) }] as const,
  );
  return { heads: new Map(known), setAside, givenUp };
}

async function sealPlanned(
  { cluster, source, repositories }: ArchiveSourceContext,
  { log, successor }: PlannedLog,
  beat: Beat,
): Promise<SealSummary> {
  const { stagingDir, binlogDir } = source;
  const { segment, object } = await sealSegment({
    stagingDir,
    log,
    nextPreviousGtids: await successorGtids(stagingDir, binlogDir, successor),
    repositoryId: await sharedRepositoryId(repositories),
    key: repositories.key,
    level: cluster.archive.level,
    signal: beat.signal,
    onProgress: (doneBytes) => beat.report({ doneBytes, totalBytes: log.lengthBytes }),
  });
  const { transactions, lengthBytes } = segment;
  return { key: object.key, transactions, lengthBytes, storedBytes: object.lengthBytes };
}

async function uploadTo(
  { source, repositories }: ArchiveSourceContext,
  { log, store }: UploadInput,
  beat: Beat,
): Promise<StoredIn> {
  const object = await uploadSegment({
    stagingDir: source.stagingDir,
    log,
    store: repositoryIn(repositories, store).store,
    repositoryId: await sharedRepositoryId(repositories),
    key: repositories.key,
    signal: beat.signal,
    onProgress: (doneBytes) => beat.report({ doneBytes, totalBytes: log.lengthBytes }),
  });
  return { store, object };
}

async function commitEverywhere(
  { source, repositories }: ArchiveSourceContext,
  { log, stored }: CommitInput,
  sign: Signature,
): Promise<CommitSummary> {
  const purpose = { repositoryId: await sharedRepositoryId(repositories), key: repositories.key };
  const { segment } = await requireFacts(stagedFiles(source.stagingDir, log).facts, purpose);
  let timeline = 0;
  for (const { store, object } of stored) {
    timeline = await commitSegment(repositoryIn(repositories, store).catalog, segment, object, sign);
  }
  const { serverUuid, binlog, lastCommit } = segment;
  return { serverUuid, binlog, timeline, lastCommit };
}

function acceptLetter(
  { source, repositories, cache, withSession }: ArchiveSourceContext,
  { acceptance, givenUp, reason }: AcceptGapInput,
  sign: Signature,
): Promise<AcceptedGap> {
  return withSession(async (session) => {
    // Looked at anew: what was archived, staged or purged since the letter was written decides what is lost.
    const look = { source, session, repositories, cache, heads: new Map(), setAside: [], nowMs: Date.now() };
    const view = await viewSource({ ...look, givenUp });
    return acceptGap({ view, repositories, acceptance, reason, sign });
  });
}
