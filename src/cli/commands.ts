import { tuneProcess } from '../worker/tuned-process.ts';
import type { Command } from './command.ts';

/** A command, loaded when it is called: most need little of what the others need. */
export interface CommandEntry {
  /** One word, or two where the first is a group: `config show`. */
  readonly name: string;
  readonly summary: string;
  readonly load: () => Promise<Command>;
}

/** Every command, in the order of the help. Those that read binlogs begin anew before they load anything. */
export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'quickstart',
    summary: 'watch a real server being archived, damaged and brought back, in a scratch folder',
    load: async () => (await import('./commands/quickstart.ts')).command,
  },
  {
    name: 'worker',
    summary: 'do the work: archive, back up, restore, as workflows ask for it',
    load: async () => (await import('./commands/worker.ts')).command,
  },
  {
    name: 'apply',
    summary: 'create repositories and start archiving, as pitrail.yaml says',
    load: async () => (await import('./commands/apply.ts')).command,
  },
  {
    name: 'archive',
    summary: 'archive what is closed now, or steer archiving: pause, resume, rotate, decide',
    load: async () => (await import('./commands/archive.ts')).command,
  },
  {
    name: 'check',
    summary: 'say of every part whether it works: server, privileges, store, key, Temporal, tools',
    load: async () => (await import('./commands/check.ts')).command,
  },
  {
    name: 'status',
    summary: 'what is archived, how far behind it is, and what can be restored',
    load: async () => (await import('./commands/status.ts')).command,
  },
  {
    name: 'backup',
    summary: 'take a base backup of a source, and wait for it',
    load: async () => (await import('./commands/backup.ts')).command,
  },
  {
    name: 'backups',
    summary: 'list the base backups of a cluster',
    load: async () => (await import('./commands/backups.ts')).command,
  },
  {
    name: 'scan',
    summary: 'verify binlog files and tell what is in them',
    load: async () => (await import('./commands/scan.ts')).command,
  },
  {
    name: 'plan',
    summary: 'say whether a target can be restored exactly, and how',
    load: async () => {
      tuneProcess();
      return (await import('./commands/plan.ts')).command;
    },
  },
  {
    name: 'restore',
    summary: 'bring a server back to an exact point, in a folder of its own',
    load: async () => {
      tuneProcess();
      return (await import('./commands/restore.ts')).command;
    },
  },
  {
    name: 'locate',
    summary: 'find the statements that destroyed data, and the restore just before each',
    load: async () => {
      tuneProcess();
      return (await import('./commands/locate.ts')).command;
    },
  },
  {
    name: 'verify',
    summary: 'walk every catalog and object, and name each difference between the stores',
    load: async () => (await import('./commands/verify.ts')).command,
  },
  {
    name: 'sync',
    summary: 'copy to a store what another one has and it lacks',
    load: async () => (await import('./commands/sync.ts')).command,
  },
  {
    name: 'handoff',
    summary: 'hand the archive to another source, or say whether that could be',
    load: async () => (await import('./commands/handoff.ts')).command,
  },
  {
    name: 'serve',
    summary: 'serve archived transactions to a replica of your own',
    load: async () => {
      tuneProcess();
      return (await import('./commands/serve.ts')).command;
    },
  },
  {
    name: 'audit verify',
    summary: 'verify the chain of the audit logs, and name the first bad line',
    load: async () => (await import('./commands/audit-verify.ts')).command,
  },
  {
    name: 'config show',
    summary: 'print the configuration as pitrail understands it, secrets as references',
    load: async () => (await import('./commands/config-show.ts')).command,
  },
  {
    name: 'config check',
    summary: 'check the configuration and the files it points to',
    load: async () => (await import('./commands/config-check.ts')).command,
  },
  {
    name: 'config schema',
    summary: 'print the JSON schema of pitrail.yaml',
    load: async () => (await import('./commands/config-schema.ts')).command,
  },
];

/** What a group of commands is for, by its first word. */
export const GROUPS: Readonly<Record<string, string>> = {
  audit: 'the audit log: what was restored, refused, handed over and removed',
  config: 'the configuration: show it, check it, print its schema',
};
