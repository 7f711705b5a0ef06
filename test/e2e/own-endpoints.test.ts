// What a NIM's client asks before it works: health, models, metadata, version. The gateway answers where no
// upstream can, or where several could each say something else, and in shapes that every client reads.

import test, { type ExecutionContext } from "ava";
import OpenAI, { NotFoundError } from "openai";
import { type Nim, startNim } from "../../src/demo/nim.ts";
import { freePort } from "../support/free-port.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { ask, jsonOf } from "../support/gateway-client.ts";
import { rawClient, rawUpstream } from "../support/sockets.ts";

const LLAMA = "meta/llama-3.1-8b-instruct";
const METADATA_KEYS = [
  ...["assetInfo", "licenseInfo", "modelInfo", "repository_override", "selectedModelProfileId", "version"],
];

interface Scene {
  readonly nim: Nim;
  readonly gateway: Gateway;
  /** Of a model with one upstream, which is up. */
  readonly port: number;
}

async function begin(t: ExecutionContext, more = ""): Promise<Scene> {
  const nim = await startNim({ scale: 0.01, models: [LLAMA] });
  const port = await freePort();
  const gone = `http://127.0.0.1:${await freePort()}`;
  const gateway = await startGateway(`version: 1
mode: lowest_price
${more}
upstreams:
  llama-pod: { provider: other, url: "${nim.url}", model: ${LLAMA}, price: { usd_per_request: 0.01 } }
  flux-a: { provider: other, url: "${nim.url}", price: { usd_per_request: 0.01 } }
  flux-b: { provider: other, url: "${nim.url}", price: { usd_per_request: 0.02 } }
  gone: { provider: other, url: "${gone}", price: { usd_per_request: 0.01 } }
models:
  llama: { upstreams: [llama-pod], port: ${port} }
  flux-dev: { upstreams: [flux-a, flux-b] }
  flux-gone: { upstreams: [gone] }
`);
  t.teardown(() => Promise.all([gateway.stop(), nim.close()]));
  return { nim, gateway, port };
}

const get = (url: string) => ask(url, { method: "GET" });

/** Every key of a NIM's metadata, of a NIM's types. */
function isMetadata(t: ExecutionContext, body: Record<string, unknown>): void {
  t.deepEqual(
    Object.keys(body)
      .filter((key) => key !== "name")
      .sort(),
    [...METADATA_KEYS].sort(),
  );
  t.true(Array.isArray(body.assetInfo));
  const licence = body.licenseInfo as Record<string, unknown>;
  t.deepEqual(Object.keys(licence), ["name", "path", "sha", "size", "url", "type", "content"]);
  t.is(typeof licence.size, "number");
  t.is(typeof body.version, "string");
}

const shortNames = ({ modelInfo }: Record<string, unknown>) =>
  (modelInfo as { shortName: string }[]).map(({ shortName }) => shortName);

test("metadata and version are the upstream's where it is the only one, at a port or under a prefix", async (t) => {
  const { nim, gateway, port } = await begin(t);
  for (const base of [`http://127.0.0.1:${port}`, `${gateway.url}/m/llama`]) {
    const metadata = jsonOf(await get(`${base}/v1/metadata`));
    isMetadata(t, metadata);
    t.is(metadata.selectedModelProfileId, "simulated");
    t.deepEqual(jsonOf(await get(`${base}/v1/version`)), { release: "1.1.0", api: "1.0.0" });
  }
  t.is(nim.requests.length, 4);
});

test("metadata and version are the gateway's where several upstreams could answer, or all models are meant", async (t) => {
  const { nim, gateway } = await begin(t);
  const two = jsonOf(await get(`${gateway.url}/m/flux-dev/v1/metadata`));
  isMetadata(t, two);
  t.deepEqual(shortNames(two), ["flux-dev"]);
  const all = jsonOf(await get(`${gateway.url}/v1/metadata`));
  isMetadata(t, all);
  t.deepEqual(shortNames(all), ["llama", "flux-dev", "flux-gone"]);
  t.deepEqual(jsonOf(await get(`${gateway.url}/v1/version`)), { release: "0.0.0-test", api: "1.0.0" });
  t.is(nim.requests.length, 0);
});

test("metadata and version are the gateway's where the only upstream is gone, odd, silent or may not serve", async (t) => {
  const { gateway } = await begin(t);
  for (const path of ["metadata", "version"]) {
    const reply = await get(`${gateway.url}/m/flux-gone/v1/${path}`);
    t.is(reply.status, 200, path);
  }
  const pages = await rawUpstream((socket) =>
    socket.end(
      "HTTP/1.1 502 Bad\r\nContent-Type: text/html\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>",
    ),
  );
  const silent = await rawUpstream(() => {});
  const other = await startGateway(`version: 1
mode: lowest_price
upstreams:
  pages: { provider: other, url: "${pages.url}", price: { usd_per_request: 0.01 } }
  silent: { provider: other, url: "${silent.url}", price: { usd_per_request: 0.01 } }
  left-out: { provider: local, url: "${silent.url}" }
models:
  odd: { upstreams: [pages] }
  mute: { upstreams: [silent] }
  idle: { upstreams: [left-out] }
`);
  t.teardown(() => Promise.all([other.stop(), pages.close(), silent.close()]));
  for (const model of ["odd", "mute", "idle"]) {
    const reply = await get(`${other.url}/m/${model}/v1/metadata`);
    t.is(reply.status, 200, model);
    isMetadata(t, jsonOf(reply));
    t.deepEqual(shortNames(jsonOf(reply)), [model]);
  }
});

test("a gateway without models answers all of them", async (t) => {
  const gateway = await startGateway("version: 1\nmode: local\n");
  t.teardown(() => gateway.stop());
  t.deepEqual(jsonOf(await get(`${gateway.url}/v1/models`)), { object: "list", data: [] });
  isMetadata(t, jsonOf(await get(`${gateway.url}/v1/metadata`)));
  t.is((await get(`${gateway.url}/v1/version`)).status, 200);
  t.is((await get(`${gateway.url}/v1/health/live`)).status, 200);
});

test("the OpenAI SDK lists the union of the models, and retrieves each by either of its names", async (t) => {
  const { nim, gateway, port } = await begin(t);
  const client = (baseURL: string) => new OpenAI({ baseURL, apiKey: "none", maxRetries: 0 });
  const all = client(`${gateway.url}/v1`);
  t.deepEqual(
    (await all.models.list()).data.map(({ id }) => id),
    ["llama", "flux-dev", "flux-gone"],
  );
  for (const name of ["llama", LLAMA, encodeURIComponent(LLAMA)]) {
    const response = await get(`${gateway.url}/v1/models/${name}`);
    t.like(jsonOf(response), { id: "llama", object: "model", root: "llama" }, name);
  }
  t.like(await all.models.retrieve("flux-gone"), { id: "flux-gone", object: "model" });
  t.like(await all.models.retrieve(LLAMA), { id: "llama" });
  const error = await t.throwsAsync(all.models.retrieve("gpt-9"), { instanceOf: NotFoundError });
  t.regex(error?.message ?? "", /no model "gpt-9"; the models are llama, flux-dev, flux-gone/);
  t.is(nim.requests.length, 0);
  const one = client(`http://127.0.0.1:${port}/v1`);
  t.deepEqual(
    (await one.models.list()).data.map(({ id }) => id),
    ["llama"],
  );
  t.like(await one.models.retrieve(LLAMA), { id: "llama" });
  // The names of adapters are known to the upstream alone.
  await t.throwsAsync(one.models.retrieve("an-adapter"), { instanceOf: NotFoundError });
  t.is(nim.requests.length, 1);
});

test("langchain finds a model to take by itself", async (t) => {
  const { gateway } = await begin(t);
  const { data } = jsonOf(await get(`${gateway.url}/v1/models`)) as { data: { id: string; root?: string }[] };
  t.is(data.find(({ id, root }) => root === undefined || root === id)?.id, "llama");
});

test("HEAD has the head of GET, and no body", async (t) => {
  const { gateway, port } = await begin(t);
  const { port: own } = new URL(gateway.url);
  for (const [at, path] of [
    [own, "/v1/health/ready"],
    [own, "/v1/health/live"],
    [own, "/v1/models"],
    [own, "/v1/models/llama"],
    [own, "/v1/metadata"],
    [own, "/v1/version"],
    [own, "/m/flux-gone/v1/metadata"],
    [port, "/v1/models"],
  ] as const) {
    const body = (await get(`http://127.0.0.1:${at}${path}`)).body;
    const head = `HEAD ${path} HTTP/1.1\r\nHost: localhost:${at}\r\n\r\n`;
    const end = `GET /v1/health/live HTTP/1.1\r\nHost: localhost:${at}\r\nConnection: close\r\n\r\n`;
    const client = await rawClient(Number(at), head + end);
    await client.closed;
    const [first = "", second = ""] = client.received().split("\r\n\r\n");
    t.regex(first, /^HTTP\/1.1 200 /, path);
    t.regex(first, new RegExp(`\r\ncontent-length: ${body.length}(\r\n|$)`, "i"), path);
    t.regex(second, /^HTTP\/1.1 200 /, `nothing comes between the two answers of ${path}`);
    client.socket.destroy();
  }
});

test("under `identity: token` health is everybody's, and what the models are is not", async (t) => {
  const { nim, gateway } = await begin(t, "identity: token");
  const statusOf = async (path: string) => (await get(`${gateway.url}${path}`)).status;
  t.is(await statusOf("/v1/health/ready"), 200);
  t.is(await statusOf("/v1/health/live"), 200);
  for (const path of [
    "/v1/models",
    "/v1/models/llama",
    "/v1/metadata",
    "/v1/version",
    "/m/llama/v1/metadata",
  ]) {
    t.is(await statusOf(path), 401, path);
  }
  t.is(nim.requests.length, 0);
});
