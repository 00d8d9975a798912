import type { ArchiveResources, ArchiveSourceContext } from '../src/archiving/resources.ts';
import { type Beat, withHeartbeat } from './heartbeat.ts';

/** Names a source in pitrail.yaml; everything else comes from there, so no secret enters a history. */
export interface SourceName {
  readonly cluster: string;
  readonly source: string;
}

/** The work of a writer that claimed this epoch when it began. */
export interface HeldName extends SourceName {
  readonly epoch: number;
}

/** Runs work on a source that the configuration names, while heartbeating. */
export function onSource(resources: ArchiveResources) {
  return <T>(
    { cluster, source }: SourceName,
    work: (context: ArchiveSourceContext, beat: Beat) => Promise<T>,
  ): Promise<T> => withHeartbeat(async (beat) => work(await resources.source(cluster, source), beat));
}
