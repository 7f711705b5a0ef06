// Ports and addresses: nothing listens twice, and no upstream is the gateway itself.

import { isLoopback, isLoopbackAddress, portOf } from "./addresses.ts";
import type { PolicyFile } from "./policy-file.ts";
import type { Scene } from "./scene.ts";
import type { UpstreamEntry } from "./upstream.ts";

export function checkNetwork(file: PolicyFile, scene: Scene): void {
  checkExposure(file, scene);
  const owners = checkPorts(file, scene);
  for (const [id, upstream] of file.upstreams) {
    checkAddress(id, upstream, scene);
    if (upstream.url !== undefined) checkSelf(["upstreams", id, "url"], upstream.url, owners, scene);
  }
  if (file.comfyui) checkSelf(["comfyui", "url"], file.comfyui.url, owners, scene);
}

function checkExposure({ identity }: PolicyFile, scene: Scene): void {
  if (identity === "token" || scene.context.listen.every(({ host }) => isLoopbackAddress(host))) return;
  const text =
    "must be token while the gateway listens off loopback: write identity: token and give out client " +
    "tokens, or listen on localhost";
  scene.problem(["identity"], text);
}

/** Who listens on which port. */
function checkPorts(file: PolicyFile, scene: Scene): ReadonlyMap<number, string> {
  const owners = new Map(scene.context.listen.map(({ port }) => [port, "the gateway or its admin page"]));
  for (const [id, { port }] of file.models) {
    if (port === undefined) continue;
    const other = owners.get(port);
    if (other !== undefined)
      scene.problem(["models", id, "port"], `${port} is taken by ${other}: choose another`);
    else owners.set(port, `model ${id}`);
  }
  return owners;
}

function checkAddress(id: string, upstream: UpstreamEntry, scene: Scene): void {
  const { url, container, auth } = upstream;
  if (url === undefined && container === undefined) {
    const text = "is missing: write the NIM's address (only that of a container is discovered)";
    scene.problem(["upstreams", id, "url"], text);
    return;
  }
  if (url === undefined) {
    const text = "the secret travels unencrypted to the address that its cloud tells: write an https url";
    if (auth !== undefined && container?.kind !== "docker") scene.note(["upstreams", id, "auth"], text);
    return;
  }
  if (auth === undefined) return;
  const { protocol, hostname } = new URL(url);
  if (protocol === "http:" && !isLoopback(hostname)) {
    scene.note(
      ["upstreams", id, "auth"],
      "the secret travels unencrypted: use https if the way is not yours alone",
    );
  }
}

function checkSelf(
  path: readonly string[],
  url: string,
  owners: ReadonlyMap<number, string>,
  scene: Scene,
): void {
  const address = new URL(url);
  const port = portOf(address);
  const owner = owners.get(port);
  if (owner === undefined) return;
  const isOurs = scene.context.listen.some(
    (each) => each.port === port && bare(each.host) === bare(address.hostname),
  );
  if (isLoopback(address.hostname) || isOurs) {
    scene.problem(path, `is the gateway itself (port ${port} is ${owner}): write where the NIM runs`);
  }
}

function bare(host: string): string {
  return host.replace(/^\[|\]$/g, "").toLowerCase();
}
