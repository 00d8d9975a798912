export { freePort } from '../../src/process/free-port.ts';
