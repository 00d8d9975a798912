import { resolve } from 'node:path';
import { z } from 'zod';
import { AppError } from '../../domain/errors.ts';
import { parseHead, type VerifiedAudit, verifyAuditFile } from '../audit/verify.ts';
import { worstExit } from '../checks/finding.ts';
import { type CliContext, defineCommand } from '../command.ts';
import { formatCount } from '../words.ts';

export const command = defineCommand({
  description:
    'Verifies audit logs: every line names the SHA-256 of the line before, so a line that was edited, removed or put in ' +
    'between breaks the chain there. Without files the audit logs that pitrail.yaml names on this machine are verified. ' +
    'Exits 4 where a chain is broken, with the first bad line. What no chain can show, lines that were cut off at the end, ' +
    '--expect shows: note the head that this command prints, and name it later.',
  arguments: [{ name: '[files...]', description: 'audit logs (default: those of the configuration)' }],
  options: [
    { flags: '--expect <head>', description: 'sequence:SHA-256 of a line that must be there; for one file' },
  ],
  examples: [
    { line: 'pitrail audit verify', says: 'the audit logs of this machine' },
    { line: 'pitrail audit verify old/audit.jsonl --json', says: 'one that was moved away' },
  ],
  schema: z.strictObject({ expect: z.string().optional() }),
  async run(context, { options, args }) {
    const files = args.length > 0 ? args.map((file) => resolve(file)) : await configuredFiles(context);
    const expected = options.expect === undefined ? null : parseHead(options.expect);
    if (expected !== null && files.length !== 1) throw ambiguousHead(files);
    const missing = args.length > 0 || expected !== null ? 'refused' : 'allowed';
    const verified: VerifiedAudit[] = [];
    for (const file of files) verified.push(await verifyAuditFile(file, { expected, missing }));
    const exitCode = worstExit(verified.flatMap((it) => (it.status === 'whole' ? [] : [it.error.kind])));
    const status = exitCode === 0 ? 'whole' : 'broken';
    context.output.result({ status, exitCode, files: verified.map(documentOf) }, () =>
      verified.flatMap(wordsOf).join('\n'),
    );
    return exitCode;
  },
});

async function configuredFiles({ config }: CliContext): Promise<readonly string[]> {
  const { clusters } = await config();
  return [...new Set(clusters.map(({ auditFile }) => auditFile))];
}

function documentOf(verified: VerifiedAudit): unknown {
  if (verified.status === 'whole') return verified;
  const { error, ...rest } = verified;
  const { code, kind, message, hint, facts } = error;
  return { ...rest, error: { code, kind, message, hint: hint ?? null, facts } };
}

function wordsOf(verified: VerifiedAudit): string[] {
  if (verified.status === 'broken') {
    const { message, hint } = verified.error;
    return [`BROKEN  ${message}`, ...(hint === undefined ? [] : [`        hint: ${hint}`])];
  }
  const { file, lines, head, mended } = verified;
  if (head === null) return [`whole   ${file}: nothing is written down there yet`];
  return [
    `whole   ${file}: ${formatCount(lines, 'entry', 'entries')}, head ${head}`,
    ...mended.map(
      (line) => `        line ${line} holds a line that was cut by a crash; the entry behind it says so`,
    ),
  ];
}

function ambiguousHead(files: readonly string[]): AppError {
  return new AppError({
    code: 'ExpectAmbiguous',
    kind: 'usage',
    message: `--expect names a line of one audit log, and there are ${files.length}; nothing was verified.`,
    hint: 'Name the file too: pitrail audit verify FILE --expect HEAD',
    facts: { files },
  });
}
