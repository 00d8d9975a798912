import type { AppError, ErrorKind } from '../errors.ts';

interface StoreFailureKind {
  readonly kind: ErrorKind;
  /** What brings the store back, as a sentence. */
  readonly remedy: string;
}

/** What a store says by which it has failed itself, and not what was asked of it; in the order of how often. */
const FAILURES: Readonly<Record<string, StoreFailureKind>> = {
  StoreUnreachable: { kind: 'unavailable', remedy: 'Check that the store is up and reachable.' },
  StoreStalled: { kind: 'unavailable', remedy: 'Check the store and the network between it and the worker.' },
  StoreFull: { kind: 'unavailable', remedy: 'Free space there, or give it more.' },
  StoreDenied: {
    kind: 'refused',
    remedy:
      'Give its credentials the permission that is named (docs/iam has the policies), or have its account unlocked.',
  },
  BucketMissing: {
    kind: 'config',
    remedy:
      'Bring the bucket back, or correct its name, region and endpoint in the configuration and start the worker anew.',
  },
  BucketElsewhere: {
    kind: 'config',
    remedy: 'Correct the region of this store in the configuration and start the worker anew.',
  },
  CredentialsMissing: {
    kind: 'config',
    remedy: 'Supply its credentials where the configuration refers to, or the AWS way.',
  },
  StoreNotProven: {
    kind: 'refused',
    remedy: 'Renew the certificate of the store, or correct caFile or the name in the endpoint.',
  },
};

/** Codes by which a store itself has failed: counted by its circuit, and tried again by whoever works on it. */
export const STORE_FAILURES: readonly string[] = Object.keys(FAILURES);

/** True where an error says that a store has failed, and not what was asked of it. */
export function isStoreFailure(code: string): boolean {
  return Object.hasOwn(FAILURES, code);
}

/** True for what makes a store be passed over, though it counts: it is away, denies or does not prove itself. */
export function isPassedOver({ kind, code }: Pick<AppError, 'kind' | 'code'>): boolean {
  return kind === 'unavailable' || isStoreFailure(code);
}

/**
 * How a failure of a store is to be told: one that somebody must mend is no absence. What is no failure of
 * a store counts as `unavailable`.
 */
export function storeFailureKind(code: string): ErrorKind {
  return FAILURES[code]?.kind ?? 'unavailable';
}

/** What brings a store back that failed so. */
export function storeRemedy(code: string): string {
  return FAILURES[code]?.remedy ?? 'Check that the store is up and reachable.';
}
