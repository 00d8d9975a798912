import { z } from 'zod';

/** Why something could not be done, in the words of its error. */
export interface RoundFailure {
  readonly code: string;
  readonly kind: string;
  readonly message: string;
  readonly hint: string;
  readonly at: string;
}

export const roundFailure: z.ZodType<RoundFailure> = z.strictObject({
  code: z.string(),
  kind: z.string(),
  message: z.string(),
  hint: z.string(),
  at: z.string(),
});
