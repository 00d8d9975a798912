/** Fact that marks an error as the fault of the one binlog that it names, and not of its surroundings. */
export const REFUSED_BINLOG = 'refusedBinlog';
