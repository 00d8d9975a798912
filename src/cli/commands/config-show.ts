import { stringify } from 'yaml';
import { z } from 'zod';
import { defineCommand } from '../command.ts';

export const command = defineCommand({
  description:
    'Prints the configuration as pitrail understands it: defaults filled in, paths absolute, secrets as the references that they are. No secret is read.',
  arguments: [],
  options: [],
  examples: [
    { line: 'pitrail config show', says: 'as YAML' },
    { line: 'pitrail config show --json', says: 'as JSON' },
  ],
  schema: z.strictObject({}),
  async run({ config, output }) {
    const shown = await config();
    output.result(shown, () => stringify(shown).trimEnd());
    return 0;
  },
});
