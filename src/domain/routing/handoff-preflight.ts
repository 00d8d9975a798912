import { canTake, newestEpoch, type ReadManifest } from './handoff-boundary.ts';
import {
  type CandidateReach,
  type HandoffFacts,
  holderOf,
  type StandingHandoff,
  type StoreManifest,
} from './handoff-facts.ts';

/** Why a handoff cannot even be tried. */
export type PreflightRefusal =
  | { readonly code: 'candidate-unreachable'; readonly detail: string }
  | {
      readonly code: 'candidate-setting';
      readonly setting: string;
      readonly value: string;
      readonly wanted: string;
    }
  /**
   * None of the required stores can take the boundary, so the old writer would not be fenced. `away`: all of them have
   * failed, and the same can be asked for again; `behind`: one that answers lacks something.
   */
  | {
      readonly code: 'no-required-store';
      readonly why: 'away' | 'behind';
      readonly stores: readonly string[];
    }
  | { readonly code: 'nothing-archived' }
  /** Another source took over since whoever asks has looked. */
  | { readonly code: 'superseded'; readonly holder: string; readonly epoch: number }
  /** The candidate is the server that is archived now. */
  | { readonly code: 'same-server'; readonly serverUuid: string };

type Candidate = Extract<CandidateReach, { kind: 'reachable' }>;

/** Checks what has nothing to do with GTIDs. Empty where all is well. */
export function preflight(
  facts: HandoffFacts,
  candidate: Candidate,
  newest: StandingHandoff | null,
): PreflightRefusal[] {
  return [
    ...supersededBy(facts, newest),
    ...sameServer(facts, candidate),
    ...settingRefusals(candidate),
    ...storeRefusals(facts),
  ];
}

function supersededBy({ current }: HandoffFacts, newest: StandingHandoff | null): PreflightRefusal[] {
  const holder = holderOf(newest);
  if (newest === null || holder === null || holder.source === current.source) return [];
  return [{ code: 'superseded', holder: holder.source, epoch: newest.epoch }];
}

function sameServer({ current }: HandoffFacts, { serverUuid }: Candidate): PreflightRefusal[] {
  return current.serverUuid === serverUuid ? [{ code: 'same-server', serverUuid }] : [];
}

/** Without these its logs lack transactions, or transactions lack an identity. */
function settingRefusals(candidate: Candidate): PreflightRefusal[] {
  const settings = [
    { setting: 'log_bin', value: candidate.logBin },
    { setting: 'gtid_mode', value: candidate.gtidMode },
    // Where it applies nothing, what it logs is complete without it.
    ...(candidate.replication.kind === 'none'
      ? []
      : [{ setting: 'log_replica_updates', value: candidate.logReplicaUpdates }]),
  ];
  return settings
    .filter(({ value }) => value !== 'ON')
    .map(({ setting, value }) => ({ code: 'candidate-setting', setting, value, wanted: 'ON' }));
}

function storeRefusals({ stores }: HandoffFacts): PreflightRefusal[] {
  const read = stores.filter((manifest): manifest is ReadManifest => manifest.kind === 'read');
  if (read.length > 0 && read.every(({ timeline }) => timeline === null))
    return [{ code: 'nothing-archived' }];
  const required = stores.filter(({ policy }) => policy === 'required');
  const epoch = newestEpoch(read) + 1;
  if (required.some((manifest) => canTake(manifest, epoch))) return [];
  const why = required.every(({ kind, circuit }) => kind === 'unread' || circuit.kind !== 'closed')
    ? 'away'
    : 'behind';
  return [{ code: 'no-required-store', why, stores: required.map(wordsOf) }];
}

/** A store that was not read, with the reason. */
function wordsOf(manifest: StoreManifest): string {
  return manifest.kind === 'unread' ? `${manifest.store}: ${manifest.code}` : manifest.store;
}
