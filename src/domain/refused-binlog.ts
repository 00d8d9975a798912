/** Fact that marks an error as the fault of the one binlog that it names, and not of its surroundings. */
export const REFUSED_BINLOG = 'refusedBinlog';

/** Code of the refusal of a log that other servers' logs have brought: it can be released. */
export const HEIRS_HAVE_IT = 'HeirsHaveIt';
