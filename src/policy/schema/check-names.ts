// Names that refer to each other: every one that is used must be given, once, and lead nowhere in a circle.

import { ID } from "./collections.ts";
import type { ModelEntry } from "./model.ts";
import { didYouMean, listed } from "./near.ts";
import type { PolicyFile } from "./policy-file.ts";
import { textOf } from "./scalar.ts";
import type { Scene } from "./scene.ts";
import type { Path } from "./source.ts";

export function checkNames(file: PolicyFile, scene: Scene): void {
  for (const [id, upstream] of file.upstreams) {
    const { machine } = upstream;
    if (machine !== undefined)
      refer(scene, ["upstreams", id, "machine"], machine, "machine", scene.names.machines);
    if (scene.names.machines.has(id)) {
      scene.problem(
        ["upstreams", id],
        `a machine is named ${id} too: rename one, for both can be what a budget covers`,
      );
    }
  }
  for (const [id, model] of file.models) checkModel(id, model, scene);
  checkFallbacks(file, scene);
  checkBudgetNames(file, scene);
  checkClients(file, scene);
}

function refer(scene: Scene, path: Path, name: string, kind: string, known: ReadonlySet<string>): void {
  if (known.has(name)) return;
  scene.problem(path, `no ${kind} is named "${name}"${didYouMean(name, known)}; there are: ${listed(known)}`);
}

function checkModel(id: string, model: ModelEntry, scene: Scene): void {
  if (model.upstreams.length === 0)
    scene.problem(["models", id, "upstreams"], "is empty: name at least one upstream");
  const seen = new Set<string>();
  for (const [index, name] of model.upstreams.entries()) {
    const path = ["models", id, "upstreams", index];
    refer(scene, path, name, "upstream", scene.names.upstreams);
    if (seen.has(name)) scene.problem(path, `"${name}" is named twice: remove one`);
    seen.add(name);
  }
  if (model.manual !== undefined && !seen.has(model.manual)) {
    const guess = didYouMean(model.manual, seen);
    const text = `"${model.manual}" is not one of this model's upstreams${guess}; they are: ${listed(seen)}`;
    scene.problem(["models", id, "manual"], text);
  }
}

/** Follows each chain of fallbacks once: it ends, meets one that is known to, or closes a circle. */
function checkFallbacks(file: PolicyFile, scene: Scene): void {
  const known = new Set<string>();
  for (const id of file.models.keys()) {
    const way: string[] = [];
    const onWay = new Set<string>();
    let at: string | undefined = id;
    while (at !== undefined && !known.has(at) && !onWay.has(at)) {
      way.push(at);
      onWay.add(at);
      const next: string | undefined = file.models.get(at)?.fallback_model;
      if (next !== undefined)
        refer(scene, ["models", at, "fallback_model"], next, "model", scene.names.models);
      at = next;
    }
    if (at !== undefined && onWay.has(at)) {
      const circle = [...way.slice(way.indexOf(at)), at].slice(0, 10).join(" → ");
      scene.problem(
        ["models", at, "fallback_model"],
        `leads back to itself (${circle}): remove one of these steps`,
      );
    }
    for (const each of way) known.add(each);
  }
}

function checkBudgetNames(file: PolicyFile, scene: Scene): void {
  const seen = new Set(file.budgets.map(({ id }) => id));
  const { upstreams, machines, models } = scene.names;
  const known = {
    upstream: upstreams,
    machine: new Set([...machines, ...upstreams]),
    // Usage from outside may be of other models, if it has a price.
    model: new Set([...models, ...(file.prices?.entries.keys() ?? [])]),
  };
  for (const [index, budget] of file.budgets.entries()) {
    for (const kind of ["upstream", "machine", "model"] as const) {
      for (const [item, name] of budget.when?.get(kind)?.entries() ?? []) {
        refer(scene, ["budgets", index, "when", kind, item], name, kind, known[kind]);
      }
    }
  }
  for (const [id, model] of file.models) {
    if (model.max_usd_per_request !== undefined && seen.has(requestBudgetId(id))) {
      const path = ["models", id, "max_usd_per_request"];
      scene.problem(
        path,
        `makes a budget named ${requestBudgetId(id)}: rename the one of that id under budgets`,
      );
    }
  }
}

/** In the file as it is written, before anything wrong is cut out: a twin may have other problems too. */
export function repeatedBudgetIds(file: unknown): readonly { readonly path: Path; readonly text: string }[] {
  const budgets = memberOf(file, "budgets");
  if (!Array.isArray(budgets)) return [];
  const seen = new Set<string>();
  return budgets.flatMap((budget: unknown, index) => {
    const id = textOf(memberOf(budget, "id"));
    if (id === undefined || !ID.test(id)) return [];
    if (!seen.has(id)) {
      seen.add(id);
      return [];
    }
    return [{ path: ["budgets", index, "id"], text: `"${id}" is the id of another budget above` }];
  });
}

function memberOf(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined;
}

/** The budget that a model's `max_usd_per_request` stands for. */
export function requestBudgetId(model: string): string {
  return `${model}.max-per-request`;
}

function checkClients(file: PolicyFile, scene: Scene): void {
  const seen = new Map<string, string>();
  for (const [id, client] of file.clients) {
    const other = seen.get(client.tokenSha256);
    if (other !== undefined) {
      scene.problem(
        ["clients", id, "token_sha256"],
        `is the token of ${other} too: give each client its own`,
      );
    }
    seen.set(client.tokenSha256, id);
  }
}
