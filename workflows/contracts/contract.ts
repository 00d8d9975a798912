/**
 * What the contracts of all workflows share. Everything that crosses the border of a workflow
 * (inputs, results, signals, queries, updates) is plain JSON, because Temporal's CLI and web UI send
 * it too; unknown keys are refused.
 */
import { z } from 'zod';

export const clusterName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/, 'is not the name of a cluster');
export const sourceId = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/, 'is not the id of a source');

/** A schema together with the name and the example that a failure message shows. */
export interface Contract<T> {
  readonly name: string;
  readonly schema: z.ZodType<T>;
  readonly example: string;
}

/** Payload of the signals `pause`, `resume`, `rotateNow` and the update `archiveNow`: an empty object or none. */
export type NoPayload = Readonly<Record<string, never>>;

export const NO_PAYLOAD: Contract<NoPayload | undefined> = {
  name: 'payload',
  schema: z.strictObject({}).optional(),
  example: '{}',
};
