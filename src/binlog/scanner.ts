import type { GtidSet } from '../domain/gtid-set.ts';
import { EVENT, isGtidEvent } from './event-types.ts';
import { borderOf, decodePayloadHeader, decodeQuery, decodeRotate, decodeXaPrepare } from './events.ts';
import type { OpenTransaction, ScanReport, ScanVisitor, TransactionShape } from './facts.ts';
import { decodeFormatDescription, type FormatDescription } from './format-description.ts';
import type { Frame, FrameSink } from './frame.ts';
import { EventFramer } from './framer.ts';
import { decodeGtidEvent } from './gtid-event.ts';
import { GtidHistory } from './gtid-history.ts';
import { MagicReader } from './magic.ts';
import { refuseMisplaced } from './misplaced.ts';
import { decodePreviousGtids } from './previous-gtids.ts';
import { type BinlogProblem, corruptAt } from './problem.ts';
import { endingProblems, reportOn, type ScanState } from './scan-state.ts';
import { ScanTally } from './scan-tally.ts';
import { classifyStatement } from './sql.ts';
import { decodeText } from './sql-tokens.ts';
import { TransactionTracker } from './transaction-tracker.ts';
import { UuidFormatter } from './uuid.ts';

export interface ScannerOptions {
  /** Name for messages: a path or a binlog name. */
  readonly file: string;
  readonly visitor?: ScanVisitor;
}

/**
 * Reads a binlog as a stream of bytes and proves it whole: each checksum, each position, the
 * order of events, the borders and lengths of transactions. Synchronous; memory is bounded by
 * about 1 MiB and the GTID sets, whatever the file's size.
 *
 * `push` throws at the first corruption, and the scanner is dead after that. `end` never throws:
 * what only the end can show (a cut, a flag that contradicts) stands in `problems` of its report.
 */
export class BinlogScanner implements FrameSink {
  readonly #file: string;
  readonly #visitor: ScanVisitor;
  readonly #magic: MagicReader;
  readonly #framer: EventFramer;
  readonly #tracker = new TransactionTracker();
  #history: GtidHistory | null = null;
  readonly #tally = new ScanTally();
  readonly #uuids = new UuidFormatter();
  #format: FormatDescription | null = null;
  #previousGtids: GtidSet | null = null;
  #open: OpenTransaction | null = null;
  #openEvents = 0;
  #uncompressedBytes = 0;
  #sequence = 0n;
  #closedBy: 'rotate' | 'stop' | null = null;
  #nextBinlog: string | null = null;
  #lengthBytes = 0;

  constructor(options: ScannerOptions) {
    this.#file = options.file;
    this.#visitor = options.visitor ?? {};
    this.#magic = new MagicReader(options.file);
    this.#framer = new EventFramer({
      file: options.file,
      startOffset: 4,
      checksum: null,
      source: 'file',
      sink: this,
    });
  }

  /** Takes the next bytes of the file; the caller may reuse them afterwards. @throws corrupt */
  push(chunk: Uint8Array): void {
    const start = this.#magic.push(chunk);
    this.#lengthBytes += chunk.length;
    if (start < chunk.length) this.#framer.push(start === 0 ? chunk : chunk.subarray(start));
  }

  /** Ends the file, and reports. May also be called after `push` threw, for what was read until then. */
  end(): ScanReport {
    const magic = this.#magic.end();
    if (magic !== null) return this.report([magic]);
    const state = this.#state();
    return reportOn(state, endingProblems(state, this.#framer.end(), this.#framer.offset));
  }

  /** The report so far, with the given problems. */
  report(problems: readonly BinlogProblem[]): ScanReport {
    return reportOn(this.#state(), problems);
  }

  /** For the framer: takes a verified event. */
  event(frame: Frame): void {
    this.#tally.events += 1;
    if (this.#closedBy !== null) {
      throw corruptAt(
        frame,
        'after-end',
        `the log ended with ${this.#closedBy.toUpperCase()}, and this follows`,
      );
    }
    if (this.#open !== null) this.#insideTransaction(frame, this.#open);
    else this.#outsideTransaction(frame);
  }

  /** For the framer: passes on a part of a large event. */
  piece(frame: Frame, bytes: Uint8Array, start: number, end: number): void {
    this.#visitor.piece?.({ frame, transaction: this.#open }, bytes, start, end);
  }

  #outsideTransaction(frame: Frame): void {
    if (this.#previousGtids === null) this.#preamble(frame);
    else if (isGtidEvent(frame.type)) this.#begin(frame);
    else if (frame.type === EVENT.ROTATE) {
      this.#nextBinlog = decodeRotate(frame).nextBinlog;
      this.#closedBy = 'rotate';
    } else if (frame.type === EVENT.STOP) this.#closedBy = 'stop';
    else refuseMisplaced(frame);
    if (this.#open === null) this.#visitor.event?.({ frame, transaction: null });
  }

  /** FORMAT_DESCRIPTION at 4, PREVIOUS_GTIDS after it. */
  #preamble(frame: Frame): void {
    if (this.#format === null) {
      if (frame.type !== EVENT.FORMAT_DESCRIPTION) {
        throw corruptAt(
          frame,
          'format-description-missing',
          'a log begins with FORMAT_DESCRIPTION, and this one does not',
        );
      }
      this.#format = decodeFormatDescription(frame);
      this.#framer.setChecksum(this.#format.checksum);
      return;
    }
    if (frame.type !== EVENT.PREVIOUS_GTIDS) {
      if (frame.type === EVENT.FORMAT_DESCRIPTION) refuseMisplaced(frame);
      throw corruptAt(
        frame,
        'previous-gtids-missing',
        'PREVIOUS_GTIDS must follow FORMAT_DESCRIPTION, and this stands in its place',
      );
    }
    this.#previousGtids = decodePreviousGtids(frame);
    this.#history = new GtidHistory(this.#previousGtids);
  }

  #begin(frame: Frame): void {
    const gtidEvent = decodeGtidEvent(frame, this.#uuids);
    const { sequenceNumber, lastCommitted, gtid } = gtidEvent;
    if (sequenceNumber !== 0n && (sequenceNumber <= this.#sequence || lastCommitted >= sequenceNumber)) {
      throw corruptAt(
        frame,
        'sequence-number',
        `sequence number ${sequenceNumber} (last committed ${lastCommitted}) cannot follow ${this.#sequence}`,
      );
    }
    if (sequenceNumber !== 0n) this.#sequence = sequenceNumber;
    const known = gtid === null ? 'new' : (this.#history?.add(gtid) ?? 'new');
    if (known !== 'new') throw corruptAt(frame, 'duplicate-gtid', `its GTID stands ${known} already`);
    this.#open = { gtidEvent, startOffset: frame.offset, serverId: frame.serverId };
    this.#openEvents = 1;
    this.#tracker.open();
    this.#visitor.event?.({ frame, transaction: this.#open });
  }

  #insideTransaction(frame: Frame, transaction: OpenTransaction): void {
    this.#openEvents += 1;
    const type = frame.type;
    let shape: TransactionShape | null = null;
    if (type === EVENT.QUERY || type === EVENT.EXECUTE_LOAD_QUERY) shape = this.#query(frame, transaction);
    else shape = this.#tracker.event(frame);
    if (type === EVENT.XA_PREPARE) shape = this.#prepare(frame);
    if (type === EVENT.TRANSACTION_PAYLOAD) this.#payload(frame);
    this.#visitor.event?.({ frame, transaction });
    if (shape !== null) this.#finish(frame, transaction, shape);
  }

  #payload(frame: Frame): void {
    const { bytes, bodyStart, bodyEnd, bodyBytes } = frame;
    const header = decodePayloadHeader(bytes, bodyStart, bodyEnd, bodyBytes, frame);
    this.#uncompressedBytes = header.uncompressedBytes;
    this.#tally.payload(this.#uncompressedBytes);
  }

  #prepare(frame: Frame): TransactionShape {
    const { onePhase, xid } = decodeXaPrepare(frame);
    if (!onePhase) this.#tally.prepared(xid);
    return onePhase ? 'xa-one-phase' : 'xa-prepare';
  }

  #query(frame: Frame, transaction: OpenTransaction): TransactionShape | null {
    const border = borderOf(frame);
    if (border !== null && this.#visitor.query === undefined) return this.#tracker.query(frame, border);
    const query = decodeQuery(frame);
    const schema = decodeText(query.schema);
    const statement = border ?? classifyStatement(query.sql, schema, query);
    const shape = this.#tracker.query(frame, statement);
    this.#tally.statement(statement);
    this.#visitor.query?.({
      transaction,
      offset: frame.offset,
      endOffset: frame.endOffset,
      schema,
      sql: query.sql,
      extent: frame.extent,
      statement,
    });
    return shape;
  }

  #finish(frame: Frame, transaction: OpenTransaction, shape: TransactionShape): void {
    const { gtidEvent, startOffset, serverId } = transaction;
    const bytes = frame.endOffset - startOffset;
    if (gtidEvent.transactionBytes !== null && gtidEvent.transactionBytes !== bytes) {
      throw corruptAt(
        frame,
        'transaction-length',
        `the transaction from ${startOffset} ends here after ${bytes} bytes, and its GTID event says ${gtidEvent.transactionBytes}`,
      );
    }
    this.#open = null;
    this.#tally.transaction(gtidEvent);
    this.#visitor.transaction?.({
      gtid: gtidEvent.gtid,
      startOffset,
      endOffset: frame.endOffset,
      lastCommitted: gtidEvent.lastCommitted,
      sequenceNumber: gtidEvent.sequenceNumber,
      committedAtMicros: gtidEvent.committedAtMicros,
      serverId,
      format: gtidEvent.mayHoldStatements ? 'statement' : 'row',
      shape,
      events: this.#openEvents,
      uncompressedBytes: shape === 'payload' ? this.#uncompressedBytes : null,
    });
  }

  #state(): ScanState {
    return {
      file: this.#file,
      format: this.#format,
      previousGtids: this.#previousGtids,
      history: this.#history,
      open: this.#open,
      closedBy: this.#closedBy,
      nextBinlog: this.#nextBinlog,
      lengthBytes: this.#lengthBytes,
      tally: this.#tally,
    };
  }
}
