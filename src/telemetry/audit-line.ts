import { createHash } from 'node:crypto';
import type { AuditEvent } from './audit-events.ts';

/** A line of the audit file. */
export interface AuditLine {
  readonly format: 1;
  /** From 1, without holes. */
  readonly sequence: number;
  /** SHA-256 of the line before, line feed included; null in the first. */
  readonly previous: string | null;
  /** RFC 3339 UTC. */
  readonly at: string;
  readonly user: string;
  readonly host: string;
  /** W3C trace id of the work that wrote it, which its log lines and requests carry too; null outside a workflow. */
  readonly trace: string | null;
  readonly event: AuditEvent;
}

/** Where a chain of lines ends. */
export interface AuditHead {
  /** 0 where there is no line. */
  readonly sequence: number;
  /** Digest of the last line; null where there is none. */
  readonly sha256: string | null;
}

export const EMPTY_HEAD: AuditHead = { sequence: 0, sha256: null };

/** The line as it stands in the file, line feed included. */
export function encodeLine(line: AuditLine): string {
  return `${JSON.stringify(line)}\n`;
}

export function digestOf(text: string | Uint8Array): string {
  return createHash('sha256').update(text).digest('hex');
}

/** The head behind a line. */
export function headBehind(line: AuditLine): AuditHead {
  return { sequence: line.sequence, sha256: digestOf(encodeLine(line)) };
}

/** How every line that follows this head begins. */
export function linePrefix(head: AuditHead): string {
  const start = JSON.stringify({ format: 1, sequence: head.sequence + 1, previous: head.sha256 });
  return start.slice(0, -1);
}

/** Decodes a whole line that follows `head`, written as `encodeLine` writes it; null for anything else. */
export function decodeNext(bytes: Uint8Array, head: AuditHead): AuditLine | null {
  const text = Buffer.from(bytes).toString('utf8');
  if (!text.startsWith(linePrefix(head))) return null;
  const line = parse(text);
  return line !== null && encodeLine(line) === text && isEvent(line.event) ? line : null;
}

function parse(text: string): AuditLine | null {
  try {
    return JSON.parse(text) as AuditLine;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

function isEvent(event: unknown): boolean {
  return typeof event === 'object' && event !== null && 'action' in event && typeof event.action === 'string';
}
