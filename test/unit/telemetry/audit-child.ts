/** Program: appends entries to an audit log. Usage: `audit-child FILE PREFIX COUNT` */
import { appendAudit } from '../../../src/telemetry/audit.ts';
import { refusal } from './audit-samples.ts';

const [file = '', prefix = '', count = '0'] = process.argv.slice(2);
for (let index = 1; index <= Number(count); index += 1) {
  await appendAudit(file, refusal(`${prefix}.${String(index).padStart(6, '0')}`), '2026-11-20T10:32:05Z');
}
