import { isAbsolute, normalize } from 'node:path';
import { AppError } from '../domain/errors.ts';

/** What happens to the server when the target is reached and verified. */
export type Afterwards =
  /** It is shut down cleanly; the data folder is the result. */
  | 'stop'
  /** It goes on running on its socket, for the user to stop. */
  | 'keep-running';

/** One restore, as it was asked for. Plain JSON; the same job again goes on where it stopped. */
export interface RestoreJob {
  readonly requestId: string;
  readonly cluster: string;
  /** Read from this store only; null: the first of the configuration that can be read. */
  readonly store: string | null;
  /** As `parseTarget` reads it. */
  readonly target: string;
  /** Absolute and normal; must not exist or be empty at the start. */
  readonly targetDir: string;
  /** null: the newest that has segments. */
  readonly timeline: number | null;
  /** GTID set left out of the replay; empty for none. */
  readonly skipGtids: string;
  readonly afterwards: Afterwards;
}

/** The steps of a restore, in order. */
export const RESTORE_STEPS = ['plan', 'fetch', 'replay', 'verify', 'hand-over'] as const;

export type RestoreStep = (typeof RESTORE_STEPS)[number];

/** Bytes done and expected in the step that runs. */
export interface StepProgress {
  readonly doneBytes: number;
  readonly totalBytes: number;
}

/** Settles a target folder: absolute, without `..` or a slash at its end. @throws usage */
export function settleTargetDir(path: string): string {
  const normal = normalize(path).replace(/(.)\/+$/, '$1');
  if (isAbsolute(normal) && normal !== '/') return normal;
  throw new AppError({
    code: 'BadTargetDir',
    kind: 'usage',
    message: `${JSON.stringify(path)} is not the absolute path of a folder, so nothing can be restored there.`,
    hint: 'Name a folder that does not exist yet, such as /srv/restored.',
    facts: { targetDir: path },
  });
}

/** True where both ask for the same server at the same place, whoever asks. */
export function isSameRestore(a: RestoreJob, b: RestoreJob): boolean {
  return (
    a.cluster === b.cluster &&
    a.store === b.store &&
    a.target === b.target &&
    a.targetDir === b.targetDir &&
    a.timeline === b.timeline &&
    a.skipGtids === b.skipGtids
  );
}
