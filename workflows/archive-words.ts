import type { ArchiveEntity } from './archive-entity.ts';

/** The entity's state as Markdown, for Temporal's web UI. */
export function archiveDetails(entity: ArchiveEntity): string {
  return [
    `**${entity.input.cluster}/${entity.input.source}**: ${entity.phase}`,
    archivedLine(entity),
    `Backlog: ${entity.backlog.logs} logs, ${entity.backlog.bytes} bytes`,
    ...failureLines(entity),
    ...entity.deadLetters.map(
      (letter) => `- dead letter \`${letter.binlog}\` (${letter.code}): ${letter.message}`,
    ),
  ].join('\n\n');
}

function archivedLine({ archivedThrough }: ArchiveEntity): string {
  if (archivedThrough === null) return 'Nothing is archived yet';
  const { binlog, timeline, lastCommit } = archivedThrough;
  return `Archived through \`${binlog}\` on timeline ${timeline}, last commit ${lastCommit ?? 'none'}`;
}

function failureLines({ lastFailure, rotationFailure }: ArchiveEntity): string[] {
  return [lastFailure, rotationFailure]
    .filter((failure) => failure !== null)
    .map((failure) => `**${failure.code}** at ${failure.at}: ${failure.message} ${failure.hint}`);
}
