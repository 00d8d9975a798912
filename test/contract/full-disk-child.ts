/**
 * Runs in a mount namespace of its own, on a file system of 8 MiB, and prints what a directory
 * store does when that is full, and when it is read-only. Started by `directory-disk.test.ts`.
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../src/domain/errors.ts';
import { openDirectoryStore } from '../../src/storage/directory.ts';
import { bodyOf, gather, keysUnder } from './store-bodies.ts';

const MIB = 1024 * 1024;
const [mountPoint = ''] = process.argv.slice(2);
const directory = join(mountPoint, 'store');
const open = () => openDirectoryStore({ id: 'main', directory });

async function errorOf(attempt: Promise<unknown>): Promise<string> {
  try {
    await attempt;
    return 'no error';
  } catch (error) {
    return error instanceof AppError ? `${error.kind} ${error.code}` : String(error);
  }
}

const temporaries = () => readdir(join(directory, '.pitrail', 'tmp'));

const report: Record<string, unknown> = {};
const small = randomBytes(1000);
await open().create('before/full', bodyOf(small));
report['full'] = await errorOf(open().create('too/large', bodyOf(randomBytes(12 * MIB))));
report['leftAfterFull'] = await temporaries();
report['keysAfterFull'] = await keysUnder(open(), '');
await writeFile(join(mountPoint, 'filler'), randomBytes(7 * MIB));
report['stillFull'] = await errorOf(open().create('also/large', bodyOf(randomBytes(2 * MIB))));
await rm(join(mountPoint, 'filler'));
report['freed'] = await errorOf(open().create('fits/now', bodyOf(randomBytes(2 * MIB))));

execFileSync('sh', ['-c', 'mount -o remount,ro "$1"', 'sh', mountPoint]);
report['readOnly'] = await errorOf(open().create('read/only', bodyOf(small)));
report['readable'] = (await gather(open().read('before/full'))).equals(small);
process.stdout.write(JSON.stringify(report));
