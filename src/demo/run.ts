// `npm run demo`: two simulated NIMs, the gateway in front of them, and the story of a budget in five steps,
// each checked. It uses the product as a stranger would: files, sockets, the admin API.

import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Daemon, startDaemon } from "../daemon/main.ts";
import { BudgetGuardClient } from "../sdk/client.ts";
import { type Answer, artistAsks } from "./artist.ts";
import { startNim } from "./nim.ts";
import { type DemoPolicy, demoPolicy } from "./policy-text.ts";
import { makeTell, type Tell } from "./tell.ts";

export interface DemoOptions {
  /** Ends after the last step instead of serving on. */
  readonly once: boolean;
  /** Facts as JSON, one object a line. */
  readonly json: boolean;
}

/** A simulated second takes this long: an image of 4 steps is there in under a second. */
const SCALE = 0.5;

/** Resolves to the exit code: 1 when any step did not do what it says. */
export async function runDemo(options: DemoOptions): Promise<number> {
  const tell = makeTell(options.json);
  const folder = mkdtempSync(join(tmpdir(), "budgetguard-demo-"));
  const nims = await Promise.all([
    startNim({ name: "local", scale: SCALE }),
    startNim({ name: "aws", scale: SCALE }),
  ]);
  const policy: DemoPolicy = { mode: "local", limit: "5.00", local: nims[0].url, aws: nims[1].url };
  writeFileSync(policyIn(folder), demoPolicy(policy));
  const daemon = await start(folder);
  const stop = async () => {
    await daemon.stop();
    await Promise.all(nims.map((nim) => nim.close()));
  };
  try {
    await new Story(daemon, folder, policy, tell).run();
    if (!options.once) {
      tell.serving();
      await untilInterrupted();
    }
    await stop();
    return 0;
  } catch (error) {
    tell.failed(error);
    await stop();
    return 1;
  }
}

function policyIn(folder: string): string {
  return join(folder, "policy.yaml");
}

async function start(folder: string): Promise<Daemon> {
  const accessLog = join(folder, "access.log");
  const options = {
    policyPath: policyIn(folder),
    version: "demo",
    dataPath: join(folder, "data"),
    logLevel: "silent",
    accessLog: (text: string) => writeFileSync(accessLog, text, { flag: "a" }),
  };
  const usual = await startDaemon({ ...options, listen: "localhost:7070", admin: "localhost:7071" });
  if (usual.kind === "started") return usual.daemon;
  // Something else has the usual ports, perhaps a gateway that works: the demo takes free ones.
  const free = await startDaemon({ ...options, listen: "localhost:0", admin: "localhost:0" });
  if (free.kind === "started") return free.daemon;
  throw new Error(free.lines.join("\n"));
}

class Story {
  readonly #daemon: Daemon;
  readonly #client: BudgetGuardClient;
  readonly #folder: string;
  readonly #tell: Tell;
  #policy: DemoPolicy;

  constructor(daemon: Daemon, folder: string, policy: DemoPolicy, tell: Tell) {
    this.#daemon = daemon;
    this.#client = new BudgetGuardClient({ baseUrl: daemon.admin, token: daemon.adminToken });
    this.#folder = folder;
    this.#policy = policy;
    this.#tell = tell;
  }

  async run(): Promise<void> {
    const tell = this.#tell;
    tell.opening(this.#gateway(), policyIn(this.#folder));

    tell.step(1, "An artist's node asks for an image; the policy says mode: local");
    await this.#image("flux-local", "local.png");

    tell.step(2, "TechOps edit the policy file: mode: lowest_price. No restart");
    await this.#edit({ mode: "lowest_price" });
    await this.#image("flux-aws", "aws.png");

    tell.step(3, "Finance lower the day's budget to 0.001 USD");
    await this.#edit({ limit: "0.001" });
    await this.#refusal();

    tell.step(4, "And raise it again to 5.00 USD");
    await this.#edit({ limit: "5.00" });
    await this.#image("flux-aws", "again.png");
    tell.closing(this.#gateway(), this.#daemon.admin, this.#folder);
  }

  async #image(expected: string, file: string): Promise<void> {
    const answer = await this.#ask();
    must(answer.status === 200, `the gateway answered ${answer.status} ${answer.reason}`);
    must(answer.upstream === expected, `${answer.upstream} served it, and not ${expected}`);
    const png = pngIn(answer.body);
    const path = join(this.#folder, file);
    writeFileSync(path, png);
    const record = await this.#client.request(answer.request);
    must(record.outcome === "relayed", `the ledger says ${record.outcome}`);
    this.#tell.image(record, path, readFileSync(path).length);
  }

  async #refusal(): Promise<void> {
    const answer = await this.#ask();
    must(answer.status === 402, `the gateway answered ${answer.status} and not 402`);
    must(answer.retry === "false", "the refusal does not say x-should-retry: false");
    this.#tell.refusal(answer);
  }

  async #edit(change: Partial<DemoPolicy>): Promise<void> {
    const before = (await this.#client.policy()).digest;
    const began = performance.now();
    this.#policy = { ...this.#policy, ...change };
    writeFileSync(policyIn(this.#folder), demoPolicy(this.#policy));
    for (let waited = 0; waited < 500; waited += 1) {
      if ((await this.#client.policy()).digest !== before)
        return this.#tell.reloaded(performance.now() - began);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    throw new Error("the new policy was not in force after five seconds");
  }

  #ask(): Promise<Answer> {
    return artistAsks(this.#gateway());
  }

  /** The demo's policy has one model, so the gateway's own address needs no name for it. */
  #gateway(): string {
    const own = this.#daemon.listening.find(({ model }) => model === undefined);
    return `http://${own?.address}`;
  }
}

/** The picture of a NIM's answer; throws when it is none. */
function pngIn(body: string): Buffer {
  const answer = JSON.parse(body) as { artifacts?: readonly { base64?: string }[] };
  const png = Buffer.from(answer.artifacts?.[0]?.base64 ?? "", "base64");
  must(png.subarray(1, 4).toString("latin1") === "PNG", "what came back is no PNG");
  return png;
}

function must(isTrue: boolean, otherwise: string): void {
  if (!isTrue) throw new Error(otherwise);
}

function untilInterrupted(): Promise<void> {
  return new Promise((resolve) => {
    process.once("SIGINT", () => resolve());
    process.once("SIGTERM", () => resolve());
  });
}
