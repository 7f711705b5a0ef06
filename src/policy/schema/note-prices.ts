// Notes on prices: sources that cannot be asked as the file stands, and machines to which the licence that
// the file states is not added.

import type { PolicyFile } from "./policy-file.ts";
import type { PriceForm } from "./price.ts";
import type { Scene } from "./scene.ts";
import type { Path } from "./source.ts";

/** These answer nobody without a key. */
const KEYED = ["gcp", "runpod", "lambda"] as const;

export function notePrices(file: PolicyFile, scene: Scene): void {
  const { prices } = file;
  if (prices === undefined) return;
  for (const name of KEYED) {
    if (!prices.sources.includes(name) || prices.access.get(name)?.key !== undefined) continue;
    scene.note(["prices", "sources"], `${name} needs a key: write prices.access.${name}.key`);
  }
  if (prices.licencePerGpuHour === 0n) return;
  for (const [id, { price }] of file.machines) noteLicence(price, ["machines", id, "price"], scene);
  for (const [id, { price }] of file.upstreams) noteLicence(price, ["upstreams", id, "price"], scene);
}

function noteLicence(form: PriceForm | undefined, path: Path, scene: Scene): void {
  if (form?.kind === "hour" && form.amount > 0n) {
    scene.note(path, "is the policy's own: no licence is added to it, so count it in");
  } else if (form?.kind === "rate" && scene.context.rates.find(form.rate, form.rateKind)?.gpus === 0) {
    scene.note(path, "how many GPUs it has is not known, so no licence is added to it");
  }
}
