import { AppError, assertNever } from '../../domain/errors.ts';

/** Why the clone engine cannot take an exact base backup of a server; each prints as fact and remedy. */
export type CloneObstacle =
  | { readonly code: 'PluginMissing' }
  | { readonly code: 'PrivilegeMissing'; readonly privileges: readonly string[]; readonly account: string }
  | { readonly code: 'GtidModeOff'; readonly gtidMode: string }
  | { readonly code: 'BinlogOff' }
  | { readonly code: 'ForeignEngineRows'; readonly tables: readonly string[] }
  | { readonly code: 'TablesNotCloned'; readonly tables: readonly string[] }
  | { readonly code: 'EncryptedTables'; readonly tables: readonly string[] }
  | {
      readonly code: 'InnodbSettings';
      readonly name: string;
      readonly value: string;
      readonly wanted: string;
    }
  | { readonly code: 'DataFolderUnreadable'; readonly dataDir: string; readonly reason: string }
  | { readonly code: 'OtherUser'; readonly dataDir: string; readonly ownerUid: number; readonly uid: number }
  | {
      readonly code: 'DiskTooSmall';
      readonly path: string;
      readonly neededBytes: number;
      readonly freeBytes: number;
    }
  | { readonly code: 'DdlRunning'; readonly waitedSeconds: number; readonly statements: readonly string[] }
  | { readonly code: 'ServerVersionDiffers'; readonly server: string; readonly program: string };

interface Explained {
  readonly fact: string;
  readonly remedy: string;
}

/** How many tables a message names; the rest are counted. */
const MAX_NAMED = 20;

/** One refusal that names every obstacle; its code is the first one's. */
export function cloneRefused(
  where: string,
  obstacles: readonly [CloneObstacle, ...CloneObstacle[]],
): AppError {
  const explained = obstacles.map(explain);
  return new AppError({
    code: obstacles[0].code,
    kind: 'refused',
    message: `No base backup of ${where} was begun: ${explained.map(({ fact }) => fact).join('; ')}.`,
    hint: explained.map(({ remedy }) => remedy).join(' '),
    facts: { server: where, obstacles: obstacles.map(({ code }) => code) },
  });
}

function explain(obstacle: CloneObstacle): Explained {
  switch (obstacle.code) {
    case 'PluginMissing':
      return {
        fact: 'its clone plugin is not active',
        remedy:
          "Run there: INSTALL PLUGIN clone SONAME 'mysql_clone.so'; or start it with plugin-load-add=mysql_clone.so.",
      };
    case 'PrivilegeMissing':
      return {
        fact: `${obstacle.account} lacks ${obstacle.privileges.join(' and ')}`,
        remedy: `Run there: GRANT ${obstacle.privileges.join(', ')} ON *.* TO ${obstacle.account};`,
      };
    case 'GtidModeOff':
      return {
        fact: `gtid_mode is ${obstacle.gtidMode}, so the backup would have no place in the history`,
        remedy: 'Set enforce_gtid_consistency=ON and gtid_mode=ON (step by step on a running server).',
      };
    case 'BinlogOff':
      return {
        fact: 'its binary log is off, so nothing after the backup could be restored',
        remedy: 'Start it with log_bin.',
      };
    case 'DdlRunning':
      return explainDdl(obstacle);
    case 'DiskTooSmall':
      return {
        fact: `${obstacle.path} has ${obstacle.freeBytes} bytes free where ${obstacle.neededBytes} are needed (1.3 × the data)`,
        remedy: 'Free space there, or set stagingDir to another file system.',
      };
    default:
      return explainData(obstacle);
  }
}

type DataObstacle = Exclude<
  CloneObstacle,
  { code: 'PluginMissing' | 'PrivilegeMissing' | 'GtidModeOff' | 'BinlogOff' | 'DdlRunning' | 'DiskTooSmall' }
>;

function explainData(obstacle: DataObstacle): Explained {
  switch (obstacle.code) {
    case 'ForeignEngineRows':
      return {
        fact: `a clone leaves tables of other engines than InnoDB empty, and these hold rows: ${named(obstacle.tables)}`,
        remedy: 'Convert them (ALTER TABLE … ENGINE=InnoDB) or empty them.',
      };
    case 'TablesNotCloned':
      return {
        fact: `a server started on a clone does not have these tables, or does not start at all because of their names: ${named(obstacle.tables)}`,
        remedy: 'Convert them (ALTER TABLE … ENGINE=InnoDB), rename those with a backtick, or drop them.',
      };
    case 'EncryptedTables':
      return {
        fact: `encrypted tables cannot be opened outside of their server's keyring: ${named(obstacle.tables)}`,
        remedy: "Decrypt them (ALTER TABLE … ENCRYPTION='N'): the stored backup is encrypted as a whole.",
      };
    case 'InnodbSettings':
      return {
        fact: `${obstacle.name} is ${obstacle.value}, and a restored server is started with ${obstacle.wanted}`,
        remedy: 'Such a server cannot be backed up by this version.',
      };
    case 'DataFolderUnreadable':
      return {
        fact: `its data folder ${obstacle.dataDir} cannot be read here (${obstacle.reason})`,
        remedy: 'Run the worker of this source on the database host, as the user of the server.',
      };
    case 'OtherUser':
      return {
        fact: `its data folder ${obstacle.dataDir} belongs to user ${obstacle.ownerUid} and this worker runs as ${obstacle.uid}, which could not read the clone`,
        remedy: 'Run the worker of this source as the user of the server.',
      };
    case 'ServerVersionDiffers':
      return {
        fact: `it runs ${obstacle.server} and the mysqld program here is ${obstacle.program}, which would upgrade or refuse the copy`,
        remedy: 'Point PITRAIL_MYSQLD to the program of the same version.',
      };
    default:
      return assertNever(obstacle);
  }
}

function explainDdl(obstacle: Extract<CloneObstacle, { code: 'DdlRunning' }>): Explained {
  const which =
    obstacle.statements.length === 0 ? '' : `: ${obstacle.statements.slice(0, MAX_NAMED).join(' | ')}`;
  return {
    fact: `DDL runs or waits there for more than ${obstacle.waitedSeconds} s${which}`,
    remedy: 'Wait until it has ended, or end what it waits for, and try again.',
  };
}

function named(tables: readonly string[]): string {
  const more = tables.length - MAX_NAMED;
  const shown = tables.slice(0, MAX_NAMED).join(', ');
  return more > 0 ? `${shown} and ${more} more` : shown;
}
