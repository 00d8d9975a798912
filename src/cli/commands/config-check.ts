import { z } from 'zod';
import { checkReferences } from '../../config/references.ts';
import { EXIT_CODES } from '../../domain/errors.ts';
import { defineCommand } from '../command.ts';
import { formatCount } from '../words.ts';

export const command = defineCommand({
  description:
    'Checks the configuration, and that every secret and key it points to is there, is readable, and is not open to others. Connects to nothing; "pitrail check" does.',
  arguments: [],
  options: [],
  examples: [{ line: 'pitrail config check --config new.yaml', says: 'before it is put in place' }],
  schema: z.strictObject({}),
  async run({ config, output, env }) {
    const checked = await config();
    const references = await checkReferences(checked, env);
    const unusable = references.filter((reference) => reference.status === 'unusable');
    for (const { what, error } of unusable) {
      output.say(`${what}: ${error.message}`);
      if (error.hint !== undefined) output.say(`  hint: ${error.hint}`);
    }
    const document = {
      file: checked.file,
      clusters: checked.clusters.map(({ name }) => name),
      references: references.map((it) =>
        it.status === 'usable'
          ? { what: it.what, status: it.status }
          : { what: it.what, status: it.status, code: it.error.code, message: it.error.message },
      ),
    };
    output.result(document, () =>
      unusable.length === 0
        ? `${checked.file} is right, and ${formatCount(references.length, 'secret or key', 'secrets and keys')} can be read, and not by others.`
        : `${checked.file} is right, but ${unusable.length} of ${references.length} secrets and keys cannot be used.`,
    );
    return Math.max(0, ...unusable.map(({ error }) => EXIT_CODES[error.kind]));
  },
});
