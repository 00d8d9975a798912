import { z } from 'zod';
import { configJsonSchema } from '../../config/schema.ts';
import { defineCommand } from '../command.ts';

export const command = defineCommand({
  description:
    'Prints the JSON schema (draft 2020-12) of pitrail.yaml on stdout. Editors use it to complete and check the file while it is written.',
  arguments: [],
  options: [],
  examples: [{ line: 'pitrail config schema > pitrail.schema.json', says: 'for an editor' }],
  schema: z.strictObject({}),
  async run({ output }) {
    const schema = configJsonSchema();
    output.result(schema, () => JSON.stringify(schema, null, 2));
    return 0;
  },
});
