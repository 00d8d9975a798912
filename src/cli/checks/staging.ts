import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type CheckFinding, failed, ok } from './finding.ts';

/** Whether the staging folder can be written, or made; `right` is said where it can. */
export async function checkWritable(part: string, stagingDir: string, right: string): Promise<CheckFinding> {
  const place = await nearestExisting(stagingDir);
  const isWritable = await access(place, constants.W_OK).then(
    () => true,
    () => false,
  );
  if (isWritable) return ok(part, right);
  const message = `${place} cannot be written by this user, so closed binlogs cannot be staged in ${stagingDir}.`;
  return failed(
    part,
    'StagingUnwritable',
    'refused',
    message,
    'Create the staging folder for the user of the host worker.',
  );
}

/** The path itself, or its nearest parent that exists. */
export async function nearestExisting(path: string): Promise<string> {
  const isThere = await stat(path).then(
    () => true,
    () => false,
  );
  const parent = dirname(path);
  return isThere || parent === path ? path : nearestExisting(parent);
}
