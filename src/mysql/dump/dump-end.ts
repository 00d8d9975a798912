/** How a dump ended. */
export type DumpEnd =
  /** The server went on to the next log. */
  | { readonly kind: 'next-log' }
  /** The server has no more: the log is the open one. */
  | { readonly kind: 'no-more' }
  | { readonly kind: 'error'; readonly errno: number; readonly message: string };
