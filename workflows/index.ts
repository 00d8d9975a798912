/** Every workflow of the bundle, under the name that clients start it by. */
export { archiveSource } from './archiveSource.ts';
export { fallbackHandoff } from './fallbackHandoff.ts';
export { restoreToPoint } from './restoreToPoint.ts';
export { takeBackup } from './takeBackup.ts';
export { watchCluster } from './watchCluster.ts';
