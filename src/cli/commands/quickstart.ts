import { once } from 'node:events';
import { z } from 'zod';
import { withTempDir } from '../../process/temp.ts';
import { type CliContext, defineCommand } from '../command.ts';
import { type QuickstartResult, runQuickstart } from '../quickstart/run.ts';
import { Started } from '../quickstart/world.ts';
import { formatSeconds } from '../words.ts';

export const command = defineCommand({
  description:
    'Plays the whole job on real servers in a scratch folder: traffic, archive, base backup, an accident, locate, ' +
    'restore to just before it, and the proof against a replica that MySQL itself stopped there. Touches nothing ' +
    'of yours. On a terminal the servers stay up until Ctrl-C. Exit code 0 only where every table is equal.',
  arguments: [],
  options: [],
  examples: [{ line: 'pitrail quickstart', says: 'watch a server being damaged and brought back' }],
  schema: z.strictObject({}),
  async run(context) {
    return withTempDir('pitrail-quickstart', async (dir) => {
      const started = new Started();
      try {
        const result = await runQuickstart(dir, started, context.output, context.signal);
        context.output.result(result, () => summary(result));
        if (process.stdin.isTTY && process.stderr.isTTY) await untilInterrupted(context, result);
        return 0;
      } finally {
        await started.stopAll();
      }
    });
  },
});

function summary(result: QuickstartResult): string {
  return `\nRestored to the transaction just before the accident, and proved equal, in ${formatSeconds(result.seconds)} all in all.`;
}

async function untilInterrupted({ output, signal }: CliContext, result: QuickstartResult): Promise<void> {
  output.say(
    `\nThe servers stay up: look at ${result.temporalUi}, repeat the commands above. Ctrl-C ends them.`,
  );
  if (!signal.aborted) await once(signal, 'abort');
}
