// `npm run demo`: two simulated NIMs and the gateway in front of them, while the story (story.ts) is told and
// then until it is stopped. It knows how all of that is opened and closed, and no step of the story.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Daemon, startDaemon } from "../daemon/main.ts";
import { type Artist, artistAsks } from "./artist.ts";
import { startNim } from "./nim.ts";
import { type DemoPolicy, demoPolicy } from "./policy-text.ts";
import { gatewayOf, policyIn, Story } from "./story.ts";
import type { Tell } from "./tell.ts";

export interface DemoOptions {
  /** Ends after the last step instead of serving on. */
  readonly once: boolean;
  readonly tell: Tell;
  /** Resolves when whoever watches has seen enough: at any moment, also in the middle of a step. */
  readonly stopped: Promise<void>;
  /** Who asks for the images; ComfyUI's node if not said. */
  readonly artist?: Artist;
  /** The usual addresses of a gateway if not said; free ones are taken where these are not to be had. */
  readonly listen?: string;
  readonly admin?: string;
}

/** A simulated second takes this long: an image of 4 steps is there in under a second. */
const SCALE = 0.5;

/** Resolves to the exit code: 1 when any step did not do what it says. */
export async function runDemo(options: DemoOptions): Promise<number> {
  const closing: (() => unknown)[] = [];
  try {
    await openAndTell(options, closing);
    return 0;
  } catch (error) {
    options.tell.failed(error);
    return 1;
  } finally {
    // In the opposite order: the gateway settles before its upstreams go, and its ledger goes last.
    for (const close of closing.reverse()) await close();
  }
}

/** What it opens it adds to `closing`, at once. */
async function openAndTell(options: DemoOptions, closing: (() => unknown)[]): Promise<void> {
  const { tell, once, stopped, artist = artistAsks } = options;
  const folder = makeFolder();
  closing.push(() => tell.ended(folder, once));
  closing.push(() => removeData(folder));
  const local = await startNim({ name: "local", scale: SCALE });
  closing.push(() => local.close());
  const aws = await startNim({ name: "aws", scale: SCALE });
  closing.push(() => aws.close());
  const policy: DemoPolicy = { mode: "local", limit: "5.00", local: local.url, aws: aws.url };
  writeFileSync(policyIn(folder), demoPolicy(policy));
  const daemon = await start(folder, options);
  closing.push(() => daemon.stop());
  const story = new Story({ daemon, folder, policy, tell, artist });
  const isTold = await Promise.race([story.run().then(() => true), stopped.then(() => false)]);
  if (!isTold || once) return;
  tell.serving({ gateway: gatewayOf(daemon), admin: daemon.admin });
  await stopped;
}

function makeFolder(): string {
  try {
    return mkdtempSync(join(tmpdir(), "budgetguard-demo-"));
  } catch (cause) {
    throw new Error(`cannot write to ${tmpdir()}: set TMPDIR to a folder that you can write to`, { cause });
  }
}

/** The pictures and the policy are for looking at; the ledger of a gateway that is no more is not. */
function removeData(folder: string): void {
  for (const name of ["data", "access.log"]) rmSync(join(folder, name), { recursive: true, force: true });
}

async function start(folder: string, { listen, admin }: DemoOptions): Promise<Daemon> {
  const accessLog = join(folder, "access.log");
  const options = {
    policyPath: policyIn(folder),
    version: "demo",
    dataPath: join(folder, "data"),
    logLevel: "silent",
    accessLog: (text: string) => writeFileSync(accessLog, text, { flag: "a" }),
  };
  const usual = { listen: listen ?? "localhost:7070", admin: admin ?? "localhost:7071" };
  const atUsual = await startDaemon({ ...options, ...usual });
  if (atUsual.kind === "started") return atUsual.daemon;
  // Something else has the usual ports, perhaps a gateway that works: the demo takes free ones.
  const free = await startDaemon({ ...options, listen: "localhost:0", admin: "localhost:0" });
  if (free.kind === "started") return free.daemon;
  throw new Error(free.lines.join("\n"));
}
