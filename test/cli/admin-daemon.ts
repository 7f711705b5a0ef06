// What the commands talk to in tests: a real admin surface over a house of functions.

import type { ExecutionContext } from "ava";
import type { House } from "../../src/admin/house.ts";
import { houseOf, openAdmin } from "../admin/house-of-functions.ts";
import { type CliWorld, cli } from "../support/cli.ts";
import type { Ran } from "../support/program.ts";

export interface Daemon {
  readonly house: ReturnType<typeof houseOf>;
  readonly address: string;
  run(line: string, world?: CliWorld): Promise<Ran>;
}

/** An admin surface over a house of functions, and commands that are run against it. */
export async function daemon(
  t: ExecutionContext,
  changes: Partial<House> = {},
  anonymous: "loopback" | "nobody" = "loopback",
): Promise<Daemon> {
  const house = houseOf(changes);
  const { admin, port } = await openAdmin(house, anonymous);
  t.teardown(() => admin.close());
  const address = `127.0.0.1:${port}`;
  const run = (line: string, world: CliWorld = {}) =>
    cli(line.split(" "), { ...world, environment: { BUDGETGUARD_ADMIN: address, ...world.environment } });
  return { house, address, run };
}

export const asAdmin = { environment: { BUDGETGUARD_TOKEN: "admin-token" } };
