/** What the commands that the quickstart runs print with --json, as far as it reads them. */

export interface BackupDocument {
  readonly backupId: string;
  readonly gtidExecuted: string;
  readonly dataBytes: number;
  readonly storedBytes: number;
}

export interface ArchiveDocument {
  readonly sources: readonly { readonly backlog: { readonly logs: number; readonly bytes: number } }[];
}

export interface LocateDocument {
  readonly statements: readonly {
    readonly gtid: string;
    readonly committedAt: string | null;
    readonly binlog: string;
    readonly position: number;
    readonly tables: readonly string[];
  }[];
}

export interface RestoreDocument {
  readonly status: 'restored';
  /** The store that the base came from, and those that were planned with. */
  readonly store: string;
  readonly stores: readonly string[];
  readonly falloverCount: number;
  readonly gtidExecuted: string;
  readonly lastApplied: { readonly gtid: string; readonly committedAt: string | null } | null;
  readonly seconds: {
    readonly plan: number;
    readonly fetch: number;
    readonly replay: number;
    readonly verify: number;
  };
  readonly dataDir: string;
}

export interface StatusDocument {
  readonly clusters: readonly {
    readonly sources: readonly {
      readonly routes: readonly {
        readonly store: string;
        readonly counts: 'required' | 'catch-up' | 'stands-in' | 'stood-in-for';
        readonly policy: 'required' | 'catch-up';
        readonly backlog: { readonly logs: number; readonly bytes: number };
        readonly through: { readonly binlog: string } | null;
        readonly circuit: { readonly state: string; readonly reason?: string };
      }[];
    }[];
  }[];
}

export interface VerifyDocument {
  readonly verdict: 'whole' | 'not-whole';
  readonly stores: readonly { readonly store: string; readonly segments: number; readonly backups: number }[];
  readonly comparisons: readonly {
    readonly stores: readonly string[];
    readonly verdict: 'equal' | 'different';
  }[];
}
