// The peers from npm: http-proxy, httpxy and Portkey, out of a package of their own (bench/peers), which the
// product never installs. It is installed by the command that their cure names, and only by that.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../test/support/free-port.ts";
import { type Place, type Started, startPeer } from "./peer.ts";

/** The same Node as the gateway's runs them all. */
const NODE = process.execPath;

export async function startHttpProxy(place: Place): Promise<Started> {
  return startScript("http-proxy", "http-proxy.js", place);
}

export async function startHttpxy(place: Place): Promise<Started> {
  return startScript("httpxy", "httpxy.js", place);
}

/** It takes an OpenAI's requests only, and is told by headers where that OpenAI is. */
export async function startPortkey(place: Place): Promise<Started> {
  const script = join(place.modules, "node_modules/@portkey-ai/gateway/build/start-server.js");
  if (!existsSync(script)) return missing(place);
  const port = await freePort();
  return startPeer(place.under, {
    command: [NODE, script, `--port=${port}`, "--headless"],
    port,
    environment: { NODE_ENV: "production" },
    headers: {
      "x-portkey-provider": "openai",
      "x-portkey-custom-host": `http://127.0.0.1:${place.upstreamPort}/v1`,
      Authorization: "Bearer bench",
    },
  });
}

async function startScript(name: string, script: string, place: Place): Promise<Started> {
  if (!existsSync(join(place.modules, `node_modules/${name}/package.json`))) return missing(place);
  const port = await freePort();
  const command = [NODE, join(place.modules, script), String(port), String(place.upstreamPort)];
  return startPeer(place.under, { command, port, environment: { NODE_ENV: "production" } });
}

function missing({ modules }: Place): Started {
  return { kind: "missing", cure: `npm ci --prefix ${modules} --ignore-scripts` };
}
