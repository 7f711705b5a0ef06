// What tests have started and nobody has told to end. A test that fails half way leaves its gateway running, and
// ava would wait for it until its timeout, and leave a process behind. It ends nothing by itself:
// end-leftovers.ts says when.

const ends = new Set<() => void>();
let hasFailedStart = false;

/** `end` must act at once. Call what is returned when somebody ends it in good order. */
export function mayBeLeft(end: () => void): () => void {
  ends.add(end);
  return () => void ends.delete(end);
}

/** Whoever wanted a gateway has no teardown for what it started before. */
export function failedToStart(): void {
  hasFailedStart = true;
}

/** Ends them all; whether there was any reason to. */
export function endLeftovers(): boolean {
  const isReason = hasFailedStart || ends.size > 0;
  for (const end of ends) end();
  ends.clear();
  return isReason;
}

/** A process that is still there then is ended with 1, and says what it has waited for. */
export function watchTheEnd(afterMs: number): void {
  const late = () => {
    const open = process.getActiveResourcesInfo().join(", ");
    process.stderr.write(`not ended ${afterMs / 1000} s after its last test, for it waits for: ${open}\n`);
    process.exit(1);
  };
  setTimeout(late, afterMs).unref();
}
