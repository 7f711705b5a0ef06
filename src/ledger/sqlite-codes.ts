// What SQLite's result codes mean for a ledger: the disk's trouble, which passes or does not, or a write that
// no disk could take. Primary codes are the low byte of extended ones.

const BUSY = 5;
const READ_ONLY = 8;
const IO_ERROR = 10;
const CORRUPT = 11;
const FULL = 13;
const CANNOT_OPEN = 14;
const NOT_A_DATABASE = 26;
/** Extended: SQLITE_IOERR_FSYNC. What was acknowledged may not be there (threats: never retried). */
const FSYNC_ERROR = 1034;

const OF_THE_DISK = new Set([BUSY, READ_ONLY, IO_ERROR, CORRUPT, FULL, CANNOT_OPEN, NOT_A_DATABASE]);

/** Whether it concerns every write, and not just this one. */
export function isOfTheDisk(errcode: number): boolean {
  return OF_THE_DISK.has(errcode & 0xff);
}

/** Whether what is on disk can no longer be trusted to be what was written. */
export function isFatal(errcode: number): boolean {
  const primary = errcode & 0xff;
  return errcode === FSYNC_ERROR || primary === CORRUPT || primary === NOT_A_DATABASE;
}
