import { strict as assert } from 'node:assert';
import { randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Every secret of a test starts with this; nothing that leaves a process may contain it. */
const CANARY = 'cAnArY5e1f0b';
/** How base64 would show it, at each of the three alignments, without the characters that its neighbours change. */
const BASE64_FORMS = [0, 1, 2].map((shift) =>
  Buffer.from('x'.repeat(shift) + CANARY)
    .toString('base64')
    .slice(shift === 0 ? 0 : 4, -4),
);

/** A fresh secret that the checks below find wherever it leaks. 28 characters: a replication password holds 32. */
export function canarySecret(): string {
  return `${CANARY}${randomBytes(8).toString('hex')}`;
}

/** Fails where a text holds a secret of a test, plainly or in base64. `what` names the text. */
export function assertNoCanary(what: string, text: string | Uint8Array): void {
  const bytes = Buffer.from(text);
  for (const form of [CANARY, ...BASE64_FORMS]) {
    const at = bytes.indexOf(form);
    const around = bytes.toString('latin1', Math.max(0, at - 60), Math.max(0, at));
    assert.equal(at, -1, `${what} holds a secret at byte ${at}, after: ${around}`);
  }
}

/** Fails where the arguments of any running process hold a secret. */
export async function assertNoCanaryInArguments(): Promise<void> {
  for (const pid of (await readdir('/proc')).filter((entry) => /^[0-9]+$/.test(entry))) {
    // A process that ended meanwhile has no arguments any more.
    const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    assertNoCanary(`the arguments of process ${pid}`, line);
  }
}

/** Fails where any file under a folder holds a secret. */
export async function assertNoCanaryInFolder(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    assertNoCanary(path, await readFile(path));
  }
}
