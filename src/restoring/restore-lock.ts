import { AppError } from '../domain/errors.ts';
import { holdName } from '../process/exclusive.ts';

/**
 * Runs a step while no other process of this host works on the same target.
 * @throws unavailable `RestoreBusy` where another process has it
 */
export async function withRestoreLock<T>(targetDir: string, act: () => Promise<T>): Promise<T> {
  const lock = await holdName('restore', targetDir);
  if (lock === null) throw busy(targetDir);
  try {
    return await act();
  } finally {
    lock.close();
  }
}

function busy(targetDir: string): AppError {
  return new AppError({
    code: 'RestoreBusy',
    kind: 'unavailable',
    message: `Another process works on the restore to ${targetDir} at this moment, so this one waits.`,
    hint: 'It goes on when that process ends. If it should not run, end it.',
    facts: { targetDir },
  });
}
