// The machines that this gateway can turn off: stopping all spending reaches them here.

export interface Machines {
  /** Begins to turn off every paid one; answers with their names. */
  stopAll(): Promise<readonly string[]>;
}
