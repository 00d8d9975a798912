import { once } from 'node:events';
import { z } from 'zod';
import { withTempDir } from '../../process/temp.ts';
import { type CliContext, defineCommand } from '../command.ts';
import { type FallbackResult, runFallback } from '../quickstart/fallback.ts';
import { type QuickstartResult, runQuickstart } from '../quickstart/run.ts';
import { Started } from '../quickstart/world.ts';
import { formatSeconds } from '../words.ts';

export const command = defineCommand({
  description:
    'Plays the whole job on real servers in a scratch folder: traffic, archive, base backup, an accident, locate, ' +
    'restore to just before it, and the proof against a replica that MySQL itself stopped there. Touches nothing ' +
    'of yours. On a terminal the servers stay up until Ctrl-C. Exit code 0 only where every table is equal.',
  arguments: [],
  options: [
    {
      flags: '--scenario <name>',
      description:
        'accident (the default), or fallback: a store dies under traffic, another one counts in its place, it comes back, and all are proved equal',
    },
  ],
  examples: [
    { line: 'pitrail quickstart', says: 'watch a server being damaged and brought back' },
    { line: 'pitrail quickstart --scenario fallback', says: 'watch a store fail and come back' },
  ],
  schema: z.strictObject({ scenario: z.enum(['accident', 'fallback']).default('accident') }),
  async run(context, { options }) {
    return withTempDir('pitrail-quickstart', async (dir) => {
      const started = new Started();
      try {
        const { output, signal } = context;
        const result =
          options.scenario === 'accident'
            ? await runQuickstart(dir, started, output, signal)
            : await runFallback(dir, started, output, signal);
        output.result(result, () => summary(result));
        if (process.stdin.isTTY && process.stderr.isTTY) await untilInterrupted(context, result);
        return 0;
      } finally {
        await started.stopAll();
      }
    });
  },
});

function summary(result: QuickstartResult | FallbackResult): string {
  const what =
    'accident' in result
      ? 'Restored to the transaction just before the accident, and proved equal'
      : 'A store was lost and came back, nothing that was archived was lost, and all stores are proved equal';
  return `\n${what}, in ${formatSeconds(result.seconds)} all in all.`;
}

async function untilInterrupted(
  { output, signal }: CliContext,
  result: { readonly temporalUi: string },
): Promise<void> {
  output.say(
    `\nThe servers stay up: look at ${result.temporalUi}, repeat the commands above. Ctrl-C ends them.`,
  );
  if (!signal.aborted) await once(signal, 'abort');
}
