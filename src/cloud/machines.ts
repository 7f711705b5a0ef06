// The machines that this gateway can turn off. Containers are not started or stopped yet, so there are none:
// whoever builds them answers here, and stopping all spending reaches them.

export interface Machines {
  /** Begins to turn off every paid one; answers with their names. */
  stopAll(): Promise<readonly string[]>;
}

export const NO_MACHINES: Machines = { stopAll: async () => [] };
