// The story of a budget in four steps, each checked. It uses the product as a stranger would: files, sockets,
// the admin API. It starts and stops nothing.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Daemon } from "../daemon/main.ts";
import { BudgetGuardClient } from "../sdk/client.ts";
import type { Answer, Artist } from "./artist.ts";
import { type DemoPolicy, demoPolicy } from "./policy-text.ts";
import type { Tell } from "./tell.ts";

interface StoryParts {
  readonly daemon: Daemon;
  readonly folder: string;
  /** As it is on disk when the story begins. */
  readonly policy: DemoPolicy;
  readonly tell: Tell;
  readonly artist: Artist;
}

export function policyIn(folder: string): string {
  return join(folder, "policy.yaml");
}

/** The demo's policy has one model, so the gateway's own address needs no name for it. */
export function gatewayOf(daemon: Daemon): string {
  const own = daemon.listening.find(({ model }) => model === undefined);
  return `http://${own?.address}`;
}

export class Story {
  readonly #parts: StoryParts;
  readonly #client: BudgetGuardClient;
  #policy: DemoPolicy;

  constructor(parts: StoryParts) {
    this.#parts = parts;
    this.#client = new BudgetGuardClient({ baseUrl: parts.daemon.admin, token: parts.daemon.adminToken });
    this.#policy = parts.policy;
  }

  /** Rejects with what a step did not do. */
  async run(): Promise<void> {
    const { daemon, tell, folder } = this.#parts;
    tell.opening(gatewayOf(daemon), policyIn(folder));

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
  }

  async #image(expected: string, file: string): Promise<void> {
    const answer = await this.#ask();
    must(answer.status === 200, `the gateway answered ${answer.status} ${answer.reason}`);
    must(answer.upstream === expected, `${answer.upstream} served it, and not ${expected}`);
    const png = pngIn(answer.body);
    const path = join(this.#parts.folder, file);
    writeFileSync(path, png);
    const record = await this.#client.request(answer.request);
    must(record.outcome === "relayed", `the ledger says ${record.outcome}`);
    this.#parts.tell.image(record, path, readFileSync(path).length);
  }

  async #refusal(): Promise<void> {
    const answer = await this.#ask();
    must(answer.status === 402, `the gateway answered ${answer.status} and not 402`);
    must(answer.retry === "false", "the refusal does not say x-should-retry: false");
    this.#parts.tell.refusal(answer);
  }

  async #edit(change: Partial<DemoPolicy>): Promise<void> {
    const before = (await this.#client.policy()).digest;
    const began = performance.now();
    this.#policy = { ...this.#policy, ...change };
    writeFileSync(policyIn(this.#parts.folder), demoPolicy(this.#policy));
    for (let waited = 0; waited < 500; waited += 1) {
      if ((await this.#client.policy()).digest !== before)
        return this.#parts.tell.reloaded(performance.now() - began);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    throw new Error("the new policy was not in force after five seconds");
  }

  #ask(): Promise<Answer> {
    return this.#parts.artist(gatewayOf(this.#parts.daemon));
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
