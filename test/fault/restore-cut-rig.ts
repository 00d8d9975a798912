import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { restoreDirectly } from '../../src/restoring/direct.ts';
import type { Afterwards } from '../../src/restoring/job.ts';
import type { RestoreOutcome } from '../../src/restoring/outcome.ts';
import type { JobOptions, RestoreRig } from '../integration/restore-rig.ts';
import type { TestMysql } from '../support/mysql.ts';

/** A table and a procedure that commits a transaction a step: enough that something can die in the middle. */
export async function createSteps(source: TestMysql): Promise<void> {
  await source.run(
    'CREATE TABLE shop.steps (id INT PRIMARY KEY AUTO_INCREMENT, pad VARCHAR(200))',
    `CREATE PROCEDURE shop.walk(steps INT) BEGIN
       WHILE steps > 0 DO
         INSERT INTO shop.steps (pad) VALUES (REPEAT(SHA2(steps, 256), 3));
         SET steps = steps - 1;
       END WHILE;
     END`,
  );
}

export interface CutRestore {
  readonly outcome: RestoreOutcome;
  /** Codes of the errors after which a step was tried again. */
  readonly retries: readonly string[];
}

/**
 * Restores, and kills the restored server with SIGKILL each time the replay has come so far: a share of its
 * transactions, from 0 to 1, for each kill.
 */
export async function restoreWithKills(
  rig: RestoreRig,
  target: string,
  shares: readonly number[],
  options: JobOptions & { readonly afterwards?: Afterwards } = {},
): Promise<CutRestore> {
  const job = rig.job(target, options);
  let step = '';
  let share = 0;
  let baseBytes = 0;
  const context = await rig.context({
    onProgress: ({ doneBytes, totalBytes }) => {
      if (step === 'fetch') baseBytes = totalBytes;
      // A replay that begins anew fetches the base once more.
      share = totalBytes === baseBytes ? 0 : doneBytes / totalBytes;
    },
  });
  const retries: string[] = [];
  const restoring = restoreDirectly(context, job, {
    onStep: (now) => {
      step = now;
      share = 0;
    },
    onPlanned: () => undefined,
    onRetry: ({ error }) => {
      retries.push(error.code);
      share = 0;
    },
  });
  const ended = restoring.then(
    () => true,
    () => true,
  );
  const pidFile = join(`${job.targetDir}.pitrail`, 'applier', 'mysqld.pid');
  for (const wanted of shares) {
    while (step !== 'replay' || share < wanted) {
      if (!(await Promise.race([sleep(5), ended]))) continue;
      // What it threw is the answer; where it was too fast for the kill, that is one.
      await restoring;
      throw new Error(`it ended before the share ${wanted}, after ${retries.join()}`);
    }
    const pid = Number(await readFile(pidFile, 'utf8'));
    share = 0;
    process.kill(pid, 'SIGKILL');
  }
  return { outcome: await restoring, retries };
}
