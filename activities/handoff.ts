import { repositoryIn } from '../src/archiving/repositories.ts';
import type { ArchiveResources } from '../src/archiving/resources.ts';
import { pickCluster, pickSource } from '../src/config/pick.ts';
import type { ContinuityPolicy, HandoffLimits } from '../src/domain/routing/handoff-facts.ts';
import { type BoundaryEntry, writeBoundary } from '../src/handoff/boundary.ts';
import { currentLag, currentLagSeconds } from '../src/handoff/current-lag.ts';
import { type Look, lookAt, lookAtCandidate } from '../src/handoff/look.ts';
import { type ArchiveStanding, firstSource, readStanding } from '../src/handoff/manifests.ts';
import { type HandoffNote, noteHandoff } from '../src/handoff/note-handoff.ts';
import {
  type HandoffName,
  type HandoffOutcome,
  readValidation,
  recordOutcome,
  type ValidationReading,
} from '../src/handoff/validation.ts';
import { keepWatch, type Watched, type WatchReport } from '../src/handoff/watch.ts';
import { faultPoint } from '../src/process/fault.ts';
import { askHoldUp } from './ask-hold-up.ts';
import { withHeartbeat } from './heartbeat.ts';
import { onSource, type SourceName } from './on-source.ts';

/** What a handoff must know of the configuration. */
export interface HandoffSettings {
  readonly sources: readonly {
    readonly id: string;
    readonly host: string;
    readonly role: 'archived' | 'fallback';
  }[];
  /** Who takes over by itself, in this order; empty where nobody does. */
  readonly fallbacks: readonly string[];
  readonly policy: ContinuityPolicy;
  readonly limits: HandoffLimits;
}

export interface SettingsInput {
  readonly cluster: string;
  readonly source: string | null;
}

export interface WatchInput extends SourceName {
  readonly known: Watched;
}

export interface StandingInput {
  readonly cluster: string;
  /** Null: who holds the archive by the catalogs. */
  readonly from: string | null;
  readonly to: string | null;
}

/** A source as it stands now. */
export interface CurrentLook {
  readonly look: Look;
  /** Age of the oldest transaction that is not archived, 0 where there is none or it is not known. */
  readonly lagSeconds: number;
}

export interface BoundaryInput {
  readonly cluster: string;
  readonly entry: BoundaryEntry;
}

export interface ValidationInput extends SourceName {
  readonly handoff: HandoffName;
}

export interface OutcomeInput extends SourceName {
  readonly outcome: HandoffOutcome;
}

/** Limits where pitrail.yaml names no fallback. */
const DEFAULT_LIMITS = { afterSeconds: 5, lagSeconds: 300, policy: 'refuse', sources: [] } as const;

/** Activities of the control queue. */
export function handoffControlActivities(resources: ArchiveResources) {
  return {
    /** Reads what a handoff must know of pitrail.yaml; a source that is named must stand there. */
    handoffSettings: ({ cluster, source }: SettingsInput): Promise<HandoffSettings> =>
      withHeartbeat(async () => {
        if (source !== null) pickSource(resources.config, pickCluster(resources.config, cluster), source);
        return settingsOf(resources, cluster);
      }),
  };
}

/** Activities of the store queue. */
export function handoffStoreActivities(resources: ArchiveResources) {
  return {
    /** Reads what the catalogs say of the source that is archived. */
    readStanding: ({ cluster, from, to }: StandingInput): Promise<ArchiveStanding> =>
      withHeartbeat(async () => {
        const { sources } = settingsOf(resources, cluster);
        const repositories = await resources.repositories(cluster);
        const standing = await readStanding(repositories, {
          from,
          stores: pickCluster(resources.config, cluster).stores,
          first: firstSource(sources, to),
        });
        faultPoint('handoff.archive-read');
        return standing;
      }),

    /** Writes the boundary into one store. */
    writeBoundary: ({ cluster, entry }: BoundaryInput): Promise<void> =>
      withHeartbeat(async () => writeBoundary(await resources.repositories(cluster), entry)),

    /** Writes into the audit log how a handoff ended, and counts it. */
    noteHandoff: (note: HandoffNote): Promise<void> =>
      withHeartbeat(() => noteHandoff(pickCluster(resources.config, note.cluster), note)),

    /** Writes down what became of a handoff. */
    recordOutcome: ({ cluster, source, outcome }: OutcomeInput): Promise<void> =>
      withHeartbeat(async () => recordOutcome(await resources.repositories(cluster), source, outcome)),
  };
}

/** Activities of the queue of the host where a source's files lie. */
export function handoffHostActivities(resources: ArchiveResources) {
  const on = onSource(resources);
  return {
    /** Looks at the source that is archived. */
    lookAtCurrent: ({ cluster, source }: SourceName): Promise<CurrentLook> =>
      withHeartbeat(async () => {
        const server = resources.server(cluster, source);
        const look = await lookAt(server);
        const lagSeconds =
          look.kind === 'reachable' ? await currentLagSeconds(await resources.source(cluster, source)) : 0;
        faultPoint('handoff.current-seen');
        return { look, lagSeconds };
      }),

    /** Watches the source that is archived, for some minutes or until it counts as failed. */
    keepWatch: ({ cluster, source, known }: WatchInput): Promise<WatchReport> =>
      withHeartbeat(async ({ signal }) => {
        const { limits } = settingsOf(resources, cluster);
        return keepWatch({
          server: resources.server(cluster, source),
          readLag: async () => currentLag(await resources.source(cluster, source)),
          readHoldUp: () => askHoldUp({ cluster, source }),
          limits,
          known,
          signal,
        });
      }),

    /** Takes the snapshot of a server that may take over. */
    lookAtCandidate: ({ cluster, source }: SourceName) =>
      withHeartbeat(async () => {
        const reach = await lookAtCandidate(resources.server(cluster, source));
        faultPoint('handoff.candidate-seen');
        return reach;
      }),

    /** Gathers what tells whether a handoff holds. */
    readValidation: (input: ValidationInput): Promise<ValidationReading> =>
      on(input, async (context) => {
        const { handoff } = input;
        const facts = await readValidation(
          context,
          repositoryIn(context.repositories, handoff.store),
          handoff,
        );
        faultPoint('handoff.validated');
        return facts;
      }),
  };
}

export type HandoffControlActivities = ReturnType<typeof handoffControlActivities>;
export type HandoffStoreActivities = ReturnType<typeof handoffStoreActivities>;
export type HandoffHostActivities = ReturnType<typeof handoffHostActivities>;

function settingsOf(resources: ArchiveResources, clusterName: string): HandoffSettings {
  const { sources, archive } = pickCluster(resources.config, clusterName);
  const { afterSeconds, lagSeconds, policy, sources: fallbacks } = archive.fallback ?? DEFAULT_LIMITS;
  return {
    sources: sources.map(({ id, workerHost, role }) => ({ id, host: workerHost, role })),
    fallbacks,
    policy,
    limits: { lagSeconds, unreachableSeconds: afterSeconds, silentSeconds: afterSeconds },
  };
}
