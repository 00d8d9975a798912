import { ApplicationFailure } from '@temporalio/workflow';
import type { Contract } from './contracts/contract.ts';

/** Type of the failure for input that does not match its contract; it is never retried. */
export const BAD_INPUT = 'BadInput';

/**
 * Checks a value from outside against its contract.
 *
 * @throws ApplicationFailure non-retryable `BadInput`, which names the field and shows an example
 */
export function decode<T>(contract: Contract<T>, value: unknown): T {
  const parsed = contract.schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.slice(0, 3).map((issue) => describe(issue.path, issue.message));
  throw ApplicationFailure.nonRetryable(
    `The ${contract.name} is not valid, so nothing was done: ${issues.join('; ')}. Example: ${contract.example}`,
    BAD_INPUT,
  );
}

function describe(path: readonly PropertyKey[], message: string): string {
  return path.length === 0 ? message : `"${path.map(String).join('.')}" ${message}`;
}
