/** Codes by which a store itself has failed: counted by its circuit, and tried again by whoever works on it. */
export const STORE_FAILURES = ['StoreUnreachable', 'StoreStalled', 'StoreFull'] as const;

/** True where an error says that a store has failed, and not what was asked of it. */
export function isStoreFailure(code: string): boolean {
  return STORE_FAILURES.some((failure) => failure === code);
}
