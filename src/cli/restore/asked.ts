import type { RestoreJob } from '../../restoring/job.ts';

/** A restore as the command line asks for it; without a request id one is made. */
export type RestoreAsked = Omit<RestoreJob, 'requestId'> & { readonly requestId: string | null };
